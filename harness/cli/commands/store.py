"""`harness store`: the commands about the database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.console import CommandOutput
from harness.cli.options import StoreOptions, command

store = typer.Typer(help="Check, copy and compact the store.", no_args_is_help=True, rich_markup_mode=None)


@store.command("check")
@command
def check(*, options: StoreOptions, output: CommandOutput) -> None:
    """Check the whole store: its file, what refers to what, and that no run was changed.

    The exit code is 5 if something is wrong. Nothing is written.
    """
    from harness.cli.store import show_check

    show_check(options.workspace, output)


@store.command("backup")
@command
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write. It must not exist.")],
    *,
    options: StoreOptions,
    output: CommandOutput,
) -> None:
    """Copy the store as it is now into a new file and check the copy, also while a driver runs."""
    from harness.cli.store import copy_store

    copy_store(options.workspace, file, output)


@store.command("copy")
@command
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The file or the URL of a store.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="A new file or an empty database.")],
    *,
    output: CommandOutput,
) -> None:
    """Copy a whole store into another database, for example from a file to a server, and check the copy."""
    from harness.cli.store import transfer_store

    transfer_store(source, target, output)


@store.command("compact")
@command
def compact(*, options: StoreOptions, output: CommandOutput) -> None:
    """Write the store anew, without the room that nothing uses. No driver may work on a run."""
    from harness.cli.store import compact_store

    compact_store(options.workspace, output)
