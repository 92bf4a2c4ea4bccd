"""The help lists every command once, under a heading, and the version is that of the package."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest
import typer
from typer.testing import CliRunner

from harness.cli.app import app
from harness.cli.groups import HEADINGS, OTHERS, GroupedCommands

SECTION = re.compile(r"^([A-Z].*):\n((?:  .*\n)+)", re.MULTILINE)


def headings(help_text: str) -> dict[str, list[str]]:
    """Heading → the names below it."""
    return {
        heading: re.findall(r"^  (\S+)", lines, re.MULTILINE) for heading, lines in SECTION.findall(help_text)
    }


def test_every_command_has_a_heading() -> None:
    listed = headings(CliRunner().invoke(app, ["--help"]).stdout)
    assert list(listed) == ["Options", *HEADINGS]
    names = [name for heading in HEADINGS for name in listed[heading]]
    command = typer.main.get_command(app)
    assert sorted(names) == sorted(command.commands)  # type: ignore[attr-defined]


def test_a_command_without_a_heading_is_shown_and_a_hidden_one_is_not() -> None:
    small = typer.Typer(cls=GroupedCommands, rich_markup_mode=None)

    @small.command()
    def one() -> None:
        """Do one thing."""

    @small.command(rich_help_panel=HEADINGS[0])
    def two() -> None:
        """Do another thing."""

    @small.command(hidden=True)
    def three() -> None:
        """Do nothing."""

    listed = headings(CliRunner().invoke(small, ["--help"]).stdout)
    assert {key: names for key, names in listed.items() if key != "Options"} == {
        HEADINGS[0]: ["two"],
        OTHERS: ["one"],
    }


@pytest.mark.parametrize("words", [["--version"], ["--version", "run"]])
def test_the_version(words: list[str]) -> None:
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stdout) == (0, f"transformer-harness {version('transformer-harness')}\n")
