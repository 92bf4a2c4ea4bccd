"""Exit codes of every command."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from harness.cli.options import command
from harness.errors import InputError, StoreError
from harness.store.store import open_store


def fails(path: Path, error: Exception) -> int:
    """The exit code of a command that opens the store and then fails."""
    app = typer.Typer()

    @app.command()
    @command
    def fail() -> None:
        open_store(path).close()
        raise error

    return CliRunner().invoke(app).exit_code


@pytest.mark.parametrize(("error", "codes"), [(StoreError, [6, 2]), (InputError, [2, 2])])
def test_a_store_that_fails_ends_a_command_with_2_only_if_nothing_was_written(
    tmp_path: Path, error: type[Exception], codes: list[int]
) -> None:
    """The first command makes the tables of the store. The second one only reads them."""
    assert [fails(tmp_path / "harness.db", error("gone")) for _ in range(2)] == codes
