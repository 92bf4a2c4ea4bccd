"""The commands in the help, under a heading for each kind."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import typer
from typer.core import TyperGroup

ABOUT_STUDIES = "Studies"
ABOUT_PROGRAMS = "Your own programs and results"
ABOUT_RESULTS = "Results"
ABOUT_MACHINE = "This machine and its data"

OTHERS = "Others"

HEADINGS = (ABOUT_STUDIES, ABOUT_PROGRAMS, ABOUT_RESULTS, ABOUT_MACHINE)


class GroupedCommands(TyperGroup):
    """A group of commands whose help lists them by their `rich_help_panel`, in the order of `HEADINGS`."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        shown = {name: command for name, command in commands.items() if command and not command.hidden}
        limit = formatter.width - 6 - max(map(len, shown))
        rows: dict[str, list[tuple[str, str]]] = {heading: [] for heading in (*HEADINGS, OTHERS)}
        for name, command in shown.items():
            heading = getattr(command, "rich_help_panel", None)
            listed = rows[heading if heading in HEADINGS else OTHERS]
            listed.append((name, command.get_short_help_str(limit)))
        for heading, listed in rows.items():
            if listed:
                with formatter.section(heading):
                    formatter.write_dl(listed)


def show_version(asked: bool) -> None:  # noqa: FBT001  typer calls it so
    """Print the version of the package and end the command, if that was asked."""
    if asked:
        typer.echo(f"transformer-harness {version('transformer-harness')}")
        raise typer.Exit
