"""Two drivers never hold one run, whatever the locks of the file system are worth."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.store import file_system
from harness.store.rows import Run
from harness.store.store import open_store

DRIVER = """
import errno, fcntl, sys
from harness.store.store import open_store

def without_locks(*_):
    raise OSError(errno.ENOLCK, "No locks available")

def ignored_locks(*_):
    pass

fcntl.flock = globals()[sys.argv[1]]
with open_store(sys.argv[2]) as store:
    store.open_session(store.runs()[0], {})
    print("held", flush=True)
    sys.stdin.read()
"""


def without_locks(*_: object) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def ignored_locks(*_: object) -> None:
    """A mount on which locks exclude nobody."""


@pytest.mark.parametrize("flock", [without_locks, ignored_locks])
def test_a_second_driver_is_refused_and_a_killed_one_holds_nothing(
    tmp_path: Path, new_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, flock: Callable[..., None]
) -> None:
    path = tmp_path / "harness.db"
    monkeypatch.setattr(fcntl, "flock", flock)
    with open_store(path) as store:
        run = new_run(store)
        command = [sys.executable, "-c", DRIVER, flock.__name__, str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
            assert first.stdout
            assert first.stdout.readline() == "held\n"
            with pytest.raises(StoreError, match=f"process {first.pid} on .* is already working on run"):
                store.open_session(run, {})
            first.kill()
        store.close_session(store.open_session(run, {}))
    assert list(tmp_path.iterdir()) == [path]


def mount_of_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"24 22 0:40 / / rw - nfs4 server:/home rw,vers=4.2,{options}\n")
    monkeypatch.setattr(file_system, "MOUNTS", mounts)


def test_where_locks_do_not_reach_other_machines_a_file_says_who_holds_the_run(
    tmp_path: Path, new_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    mount_of_a_network(tmp_path, monkeypatch, "local_lock=all")
    path = tmp_path / "harness.db"
    with open_store(path) as store:
        run = new_run(store)
        holder = tmp_path / f"harness.db.{run.id}.holder"
        session = store.open_session(run, {})
        assert f'"pid": {os.getpid()}' in holder.read_text()
        store.close_session(session)
        assert not holder.exists()
        holder.write_text('{"host": "node7", "machine": "another", "pid": 12, "started": 1}')
        with pytest.raises(
            StoreError, match="process 12 on node7 holds this run, and its file system does not"
        ):
            store.open_session(run, {})
        assert not list(tmp_path.glob("*.lock"))
        holder.unlink()
        store.close_session(store.open_session(run, {}))


def test_where_locks_reach_other_machines_the_file_is_not_needed(
    tmp_path: Path, new_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    mount_of_a_network(tmp_path, monkeypatch, "local_lock=none")
    with open_store(tmp_path / "harness.db") as store:
        run = new_run(store)
        session = store.open_session(run, {})
        assert not list(tmp_path.glob("*.holder"))
        store.close_session(session)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_no_fault_of_the_harness(
    tmp_path: Path, new_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with open_store(tmp_path / "harness.db") as store:
        run = new_run(store)
        session = store.open_session(run, {})
        with (
            open_store(tmp_path / "harness.db") as other,
            pytest.raises(StoreError, match="is already working"),
        ):
            other.open_session(run, {})
        store.close_session(session)
