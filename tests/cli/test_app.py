"""The help of every command, word for word: users rely on the options.

After an intended change, write the file again with `python tests/cli/test_app.py`, and read
the difference.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.testing import CliRunner

from harness.cli.app import app

FROZEN = Path(__file__).with_name("help.txt")


def commands() -> Iterator[tuple[str, ...]]:
    yield ()
    group = typer.main.get_command(app)
    for name, command in sorted(group.commands.items()):  # type: ignore[attr-defined]
        yield (name,)
        for inner in sorted(getattr(command, "commands", {})):
            yield (name, inner)


def all_help() -> str:
    """The help of all commands, 100 columns wide and without colours."""
    pages = []
    settings = {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1"}
    for command in commands():
        done = CliRunner().invoke(
            app, [*command, "--help"], prog_name="harness", env={**os.environ, **settings}
        )
        assert done.exit_code == 0
        pages.append(done.stdout.strip())
    return "\n\n\n".join(pages) + "\n"


def test_the_help_of_every_command_is_unchanged() -> None:
    assert all_help() == FROZEN.read_text(encoding="utf-8")


if __name__ == "__main__":
    FROZEN.write_text(all_help(), encoding="utf-8")
