"""`harness store`: what its commands print, and their exit codes."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from harness.cli.app import app
from harness.store.store import open_store
from tests.support.stored_run import create, finish, trial


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "harness.db"
    with open_store(path) as store:
        finish(store, create(store, trials=[trial()]), trial())
    return path


def asked(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["store", *arguments, "--store", str(path)])


def test_a_sound_store_is_checked_with_0(path: Path) -> None:
    done, data = asked(path, "check"), asked(path, "check", "--json")
    assert (done.exit_code, done.stdout) == (0, f"{path}: sound, 1 run\n")
    assert json.loads(data.stdout) == {
        "sound": True,
        "store": str(path),
        "runs": 1,
        "problems": [],
        "notes": [],
    }


def test_a_store_that_was_changed_is_checked_with_5(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE samples SET value = 7.5")
    connection.execute("DELETE FROM sessions")
    connection.commit()
    connection.close()
    done, data = asked(path, "check"), asked(path, "check", "--json")
    assert (done.exit_code, data.exit_code) == (5, 5)
    *others, last = done.stderr.splitlines()
    assert last.startswith(
        f"error: {path}: 2 problems; the first: row 1 of attempts refers to a row of sessions"
    )
    assert ["the samples of attempts changed" in line for line in others] == [True]
    assert [json.loads(data.stdout)[name] for name in ("sound", "runs")] == [False, 1]
    assert len(json.loads(data.stdout)["problems"]) == 2


def test_what_cannot_be_checked_ends_with_2(tmp_path: Path) -> None:
    missing = asked(tmp_path / "none.db", "check")
    assert (missing.exit_code, "there are no results" in missing.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "text").write_text("no database\n" * 100)
    assert asked(tmp_path / "text", "check").exit_code == 2


@pytest.mark.parametrize("pages", [slice(1, 2), slice(9, 12), slice(-1, None)])
def test_a_damaged_store_is_refused_by_commands_that_write_and_checked_with_5(
    path: Path, pages: slice
) -> None:
    content = bytearray(path.read_bytes())
    first, last, _ = pages.indices(len(content) // 4096)
    content[first * 4096 : last * 4096] = bytes((last - first) * 4096)
    path.write_bytes(content)
    for command in (["list"], ["claims"], ["store", "compact"]):
        done = CliRunner().invoke(app, [*command, "--store", str(path)])
        assert (done.exit_code, "the database is damaged" in done.stderr) == (2, True), command
    assert asked(path, "check").exit_code == 5
    assert path.read_bytes() == content


def test_a_copy_says_where_it_is(path: Path) -> None:
    copy = path.with_name("copy.db")
    done = asked(path, "backup", str(copy))
    assert (done.exit_code, done.stdout.startswith(f"{copy}: ")) == (0, True)
    assert asked(copy, "check").exit_code == 0
    again = asked(path, "backup", str(copy), "--json")
    assert (again.exit_code, "nothing is overwritten" in again.stderr) == (2, True)
    other = asked(path, "backup", str(path.with_name("other.db")), "--json")
    assert json.loads(other.stdout) == {
        "file": str(path.with_name("other.db")),
        "bytes": copy.stat().st_size,
    }


def test_a_compacted_store_says_how_large_it_is(path: Path) -> None:
    size = path.stat().st_size
    data = json.loads(asked(path, "compact", "--json").stdout)
    assert (data["bytes_before"], data["bytes_after"]) == (size, path.stat().st_size)
    assert asked(path, "compact").stdout.startswith(f"{path}: ")
