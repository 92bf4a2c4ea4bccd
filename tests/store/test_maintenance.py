"""A complete check of a store, copies of it, and a smaller file."""

from __future__ import annotations

import fcntl
import os
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.store.maintenance import back_up, check_store, compact
from harness.store.store import open_store
from tests.store.test_migrate import old_database
from tests.support.stored_run import create, finish, trial


def write(path: Path, trials: int = 3) -> None:
    specs = [trial(seed) for seed in range(trials)]
    with open_store(path) as store:
        finish(store, create(store, trials=specs), *specs, samples=200)


def edit(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "harness.db"
    write(path)
    return path


def test_a_sound_store_passes_and_nothing_is_written(path: Path) -> None:
    before = path.read_bytes()
    check = check_store(str(path))
    assert (check.store, check.runs, check.problems, check.notes) == (str(path), 1, (), ())
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (["UPDATE samples SET value = 7.5 WHERE step = 3"], "the samples of attempts changed: 1 (generate"),
        (["DELETE FROM samples WHERE attempt_id = 2"], "the samples of attempts changed: 2 (generate"),
        (["UPDATE trials SET seed = 9 WHERE id = 1"], "trials are not labelled as their specifications say"),
        (["UPDATE chain SET digest = 'x' WHERE number = 1"], "the chain of digests is broken at link 1"),
        (["DELETE FROM sessions"], "refers to a row of sessions that is not there"),
    ],
)
def test_what_is_wrong_is_named(path: Path, statements: list[str], problem: str) -> None:
    edit(path, *statements)
    before = path.read_bytes()
    assert any(problem in line for line in check_store(str(path)).problems)
    assert path.read_bytes() == before


def lose_a_row_of_an_index(path: Path) -> None:
    connection = sqlite3.connect(path)
    name = "sqlite_autoindex_attempts_1"
    [[root]] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,))
    connection.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096 + 3)
        cells = int.from_bytes(file.read(2), "big")
        file.seek((root - 1) * 4096 + 3)
        file.write((cells - 1).to_bytes(2, "big"))


def test_a_row_that_is_missing_from_an_index_is_named(path: Path) -> None:
    lose_a_row_of_an_index(path)
    assert any("missing from index" in problem for problem in check_store(str(path)).problems)


def test_ids_that_do_not_follow_from_their_specifications_are_named_if_this_code_made_them(
    path: Path,
) -> None:
    from harness.machine.code_digest import code_digests

    edit(path, "UPDATE trials SET spec_id = 'x' WHERE id = 3")
    assert any("other code gave 1 trial their ids" in note for note in check_store(str(path)).notes)
    edit(path, f"UPDATE runs SET code_digest = '{code_digests().measuring}'")
    assert any("the ids of 1 trial do not follow" in problem for problem in check_store(str(path)).problems)


def test_a_store_of_an_older_version_is_checked_but_not_upgraded(tmp_path: Path) -> None:
    path = old_database(tmp_path / "harness.db")
    before = path.read_bytes()
    check = check_store(str(path))
    assert check.problems == ()
    assert check.notes[0].startswith("the tables are of version 1, so the chains of runs were not checked")
    assert path.read_bytes() == before


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all\n" * 100)
    with pytest.raises(StoreError, match="this is not a SQLite database"):
        check_store(str(tmp_path / "text"))
    edit(tmp_path / "other.db", "CREATE TABLE notes (id)")
    with pytest.raises(StoreError, match="belongs to another program"):
        check_store(str(tmp_path / "other.db"))


def test_a_store_on_a_server_is_checked_as_well(postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        run = create(store, trials=[trial()])
        finish(store, run, trial())
    check = check_store(postgres_url)
    assert (check.runs, check.problems) == (1, ())
    assert "pg_amcheck" in check.notes[0]
    with pytest.raises(StoreError, match="use pg_dump for a PostgreSQL database"):
        back_up(postgres_url, Path("copy.db"))
    with pytest.raises(StoreError, match="PostgreSQL does it by itself"):
        compact(postgres_url)


def content(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_a_copy_holds_everything(path: Path) -> None:
    copy = path.with_name("copy.db")
    assert back_up(str(path), copy) == copy.stat().st_size
    assert content(copy) == content(path)
    assert sorted(path.parent.iterdir()) == sorted([path, copy])


WRITER = """
import sys
from harness.store.store import open_store
from harness.trial.outcome import Outcome, Sample
from tests.support.stored_run import create, trial

with open_store(sys.argv[1]) as store:
    specs = [trial(seed, "static") for seed in range(1000)]
    run = create(store, study="written", trials=specs)
    session = store.open_session(run, {})
    outcome = Outcome(status="finished", samples=tuple(Sample("loss", step, 0.5) for step in range(500)))
    for position, spec in enumerate(specs):
        attempt_id = store.begin_trial(run, session, spec, position=position)
        store.finish_trial(attempt_id, outcome, seconds=1.0)
        if position == 2:
            print("writing", flush=True)
"""


def test_a_copy_is_one_state_of_a_store_that_a_driver_writes_to(path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == "writing\n"
        copies = [path.with_name(f"copy-{number}.db") for number in range(3)]
        for copy in copies:
            back_up(str(path), copy)
        assert writer.poll() is None
        writer.kill()
    finished = []
    for copy in copies:
        check = check_store(str(copy))
        assert (check.runs, check.problems) == (2, ())
        with open_store(copy) as store:
            rows = store.trials(store.runs("written")[0])
            finished.append(sum(row.state == "finished" for row in rows))
            assert len(store.samples(store.runs("written")[0])) == 500 * finished[-1]
    assert 3 <= finished[0] < finished[-1] <= 1000


@pytest.mark.parametrize("kind", ["file", "folder", "link", "the store"])
def test_nothing_is_overwritten(path: Path, kind: str) -> None:
    target = path if kind == "the store" else path.with_name("copy.db")
    if kind == "file":
        target.write_text("precious")
    if kind == "folder":
        target.mkdir()
    if kind == "link":
        target.symlink_to("nowhere")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=f"{target}: this file exists, and nothing is overwritten"):
        back_up(str(path), target)
    assert path.read_bytes() == before
    assert kind != "file" or target.read_text() == "precious"


def test_a_copy_that_somebody_makes_meanwhile_is_not_overwritten(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = path.with_name("copy.db")
    monkeypatch.setattr("harness.store.maintenance._check_copy", lambda *_: target.write_text("precious"))
    with pytest.raises(StoreError, match="another process has made this file"):
        back_up(str(path), target)
    assert target.read_text() == "precious"
    assert sorted(path.parent.iterdir()) == sorted([path, target])


def test_a_file_system_without_links_gets_a_copy_as_well(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", no_links)
    back_up(str(path), path.with_name("copy.db"))
    assert content(path.with_name("copy.db")) == content(path)


def test_a_copy_without_room_leaves_nothing(path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size // 2, limits[1]))
    try:
        with pytest.raises(StoreError, match="the copy cannot be made"):
            back_up(str(path), path.with_name("copy.db"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(path.parent.iterdir()) == [path]


def test_a_damaged_store_gives_no_copy(path: Path) -> None:
    lose_a_row_of_an_index(path)
    with pytest.raises(StoreError, match=r"the copy would be damaged as the store is \("):
        back_up(str(path), path.with_name("copy.db"))
    assert list(path.parent.iterdir()) == [path]


def test_what_a_killed_copy_left_is_replaced_and_a_living_one_is_not(path: Path) -> None:
    left = path.with_name(".copy.db.harness-backup")
    left.write_text("half of a copy")
    with left.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="another process makes this copy"):
            back_up(str(path), path.with_name("copy.db"))
    back_up(str(path), path.with_name("copy.db"))
    assert not left.exists()
    assert check_store(str(path.with_name("copy.db"))).problems == ()


def test_a_compacted_store_is_smaller_and_holds_the_same(path: Path) -> None:
    with open_store(path) as store:
        store.record_study("long", "x" * 1_000_000, "{}")
    edit(path, "DELETE FROM studies WHERE name = 'long'")
    before, all_rows = path.stat().st_size, content(path)
    assert compact(str(path)) == (before, path.stat().st_size)
    assert path.stat().st_size < before - 900_000
    assert content(path) == all_rows
    assert check_store(str(path)).problems == ()
    assert list(path.parent.iterdir()) == [path]


def test_a_store_with_a_driver_is_not_compacted(path: Path) -> None:
    before = path.read_bytes()
    with open_store(path) as other:
        run = other.runs()[0]
        session = other.open_session(run, {})
        with pytest.raises(
            StoreError, match=rf"process {os.getpid()} on .* is already working on run {run.id}"
        ):
            compact(str(path))
        other.close_session(session)
    compact(str(path))
    assert path.read_bytes() != before


def test_a_store_without_room_stays_as_it_was(path: Path) -> None:
    before = content(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size // 2, limits[1]))
    try:
        with pytest.raises(StoreError):
            compact(str(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert content(path) == before
    assert check_store(str(path)).problems == ()
