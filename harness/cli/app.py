"""The command line: all commands, their help, and the way they end."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from harness.cli.commands.corpora import data
from harness.cli.commands.machine import machine_commands
from harness.cli.commands.programs import program_commands
from harness.cli.commands.results import result_commands
from harness.cli.commands.store import store
from harness.cli.commands.studies import study_commands
from harness.cli.groups import ABOUT_MACHINE, ABOUT_RESULTS, GroupedCommands, show_version
from harness.cli.options import CLICK_ERROR, exit_with, show_usage_error
from harness.cli.streams import ReaderGone, prepare_streams, writing_output
from harness.errors import OutputError
from harness.exit_codes import exit_codes_text

app = typer.Typer(
    cls=GroupedCommands,
    epilog=exit_codes_text(),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for commands in (study_commands, program_commands, result_commands, machine_commands):
    app.add_typer(commands)
app.add_typer(store, name="store", rich_help_panel=ABOUT_RESULTS)
app.add_typer(data, name="data", rich_help_panel=ABOUT_MACHINE)


@app.callback()
def begin(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Declared studies of transformer techniques and of your own programs: invariants, paired measurements
    and verdicts with intervals.
    """


def main() -> None:
    """The entry point of `harness`."""
    prepare_streams()
    try:
        with writing_output():  # outside of commands, only help is printed
            code = app(standalone_mode=False)
            sys.stdout.flush()
    except CLICK_ERROR as error:
        code = show_usage_error(error)
    except OutputError as error:
        code = exit_with(error).exit_code
    except ReaderGone:
        code = 0
    sys.exit(code or 0)
