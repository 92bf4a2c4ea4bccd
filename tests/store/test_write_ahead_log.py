"""A log of SQLite that a disk has damaged, and what a crash leaves of one, which is not the same."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.store.store import open_store
from harness.store.write_ahead_log import lost_transactions
from tests.support.stored_run import create, finish, trial

HEADER, FRAME = 32, 24 + 4096
TRIALS = 12


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store with the log that a killed driver leaves: copies of both files while they were open."""
    folder = tmp_path_factory.mktemp("killed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.store.engine.wal_is_sound", lambda _version: True)
        path = folder / "open.db"
        specs = [trial(seed) for seed in range(TRIALS)]
        with open_store(path) as store:
            run = create(store, trials=specs)
            finish(store, run, *specs)
            for end in ("", "-wal"):
                shutil.copy(f"{path}{end}", folder / f"harness.db{end}")
        assert not Path(f"{path}-wal").exists()
        yield folder / "harness.db"


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


@pytest.fixture
def copied(killed: Path, tmp_path: Path) -> Path:
    for file in (killed, log_of(killed)):
        shutil.copy(file, tmp_path / file.name)
    return tmp_path / killed.name


def ends(log: bytes) -> list[int]:
    """The numbers of the frames that end a transaction."""
    starts = range(HEADER, len(log) - FRAME + 1, FRAME)
    return [number for number, start in enumerate(starts) if any(log[start + 4 : start + 8])]


def finished(path: Path) -> int:
    with open_store(path) as store:
        [run] = store.runs()
        assert store.chain(run).problems == ()
        return sum(row.state == "finished" for row in store.trials(run))


def test_what_a_killed_driver_leaves_is_complete(copied: Path) -> None:
    assert lost_transactions(copied) == 0
    assert finished(copied) == TRIALS


@pytest.mark.parametrize("part", ["header", "frame header", "page"])
def test_a_flipped_bit_is_refused_and_nothing_is_written(copied: Path, part: str) -> None:
    """Wherever it is, except in the last transaction."""
    log, chance = log_of(copied).read_bytes(), random.Random(part)
    last = ends(log)[-2]
    for _ in range(40):
        start = HEADER + FRAME * chance.randrange(last)
        at = {
            "header": chance.randrange(HEADER),
            "frame header": start + chance.randrange(24),
            "page": start + 24 + chance.randrange(4096),
        }[part]
        damaged = log[:at] + bytes([log[at] ^ 1 << chance.randrange(8)]) + log[at + 1 :]
        log_of(copied).write_bytes(damaged)
        before = copied.read_bytes()
        with pytest.raises(StoreError, match="the write-ahead log of the database is damaged") as caught:
            open_store(copied)
        assert "\n" not in str(caught.value), at
        assert (copied.read_bytes(), log_of(copied).read_bytes()) == (before, damaged), at


def test_a_last_transaction_that_was_torn_is_forgotten_as_after_a_crash(copied: Path) -> None:
    """It was not acknowledged, because a commit waits for the disk."""
    log = log_of(copied).read_bytes()
    [*_, before, last] = ends(log)
    complete = log[: HEADER + FRAME * (last + 1)]
    for torn in (
        complete[: -FRAME // 2],
        complete[:-FRAME],
        complete[: HEADER + FRAME * (before + 1)] + bytes(FRAME * 3),
    ):
        log_of(copied).write_bytes(torn)
        assert lost_transactions(copied) == 0


def test_frames_of_an_earlier_log_do_not_count(tmp_path: Path) -> None:
    """SQLite begins the log anew at its start when it was copied into the database, and leaves the rest."""
    path = tmp_path / "harness.db"
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=wal")
    database.execute("CREATE TABLE numbers (number)")
    for number in range(20):
        database.execute("INSERT INTO numbers VALUES (?)", (number,))
    length = log_of(path).stat().st_size
    database.execute("PRAGMA wal_checkpoint")
    database.execute("INSERT INTO numbers VALUES (20)")
    assert log_of(path).stat().st_size == length
    assert lost_transactions(path) == 0
    with log_of(path).open("r+b") as log:
        log.seek(HEADER + FRAME)
        log.write(b"x")
    assert lost_transactions(path) == 0
    database.close()


def test_without_a_log_nothing_is_lost(tmp_path: Path) -> None:
    (tmp_path / "harness.db").write_bytes(b"")
    assert lost_transactions(tmp_path / "harness.db") == 0
