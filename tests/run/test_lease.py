"""There is one lease per machine, whatever a driver's variables and user are, and it ends with its holder."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.run import lease
from harness.run.lease import machine_lease

OTHER_DRIVER = """
import sys
from harness.run import lease

lease.NAME = sys.argv[1]
with lease.machine_lease(lambda note: print(note, flush=True)):
    print("measuring", flush=True)
    sys.stdin.read()
"""
NOBODY = 65534


@pytest.fixture
def lease_name(monkeypatch: pytest.MonkeyPatch) -> str:
    """A name that no other test uses at the same time."""
    name = f"{lease.NAME}-{os.urandom(4).hex()}"
    monkeypatch.setattr(lease, "NAME", name)
    return name


def other_driver(name: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OTHER_DRIVER, name],
        env={**os.environ, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


@pytest.mark.parametrize("shared", ["both", "files", "socket"])
def test_the_lease_is_waited_for_with_a_note_whatever_the_variables_say(
    tmp_path: Path, lease_name: str, monkeypatch: pytest.MonkeyPatch, shared: str
) -> None:
    share(shared, monkeypatch)
    with machine_lease(print):
        second = other_driver(lease_name, TMPDIR=str(tmp_path), HOME=str(tmp_path), USER="somebody")
        who = "another driver" if shared == "files" else f"process {os.getpid()}"
        assert first_line(second) == (f"waiting for {who}, which is training or measuring on this machine\n")
        assert second.poll() is None
    assert second.communicate(timeout=30)[0] == "measuring\n"
    assert not any((folder / f"{lease_name}.lock").exists() for folder in lease.FOLDERS)


def test_a_holder_that_is_killed_holds_nothing(lease_name: str) -> None:
    holder = other_driver(lease_name)
    assert first_line(holder) == "measuring\n"
    waiters = [other_driver(lease_name) for _ in range(2)]
    for waiter in waiters:
        assert first_line(waiter).startswith(f"waiting for process {holder.pid}, ")
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=30)
    for waiter in waiters:
        assert waiter.stdin
        waiter.stdin.close()
    for waiter in waiters:
        assert waiter.stdout
        assert waiter.stdout.read() == "measuring\n"
        assert waiter.wait(30) == 0
    notes: list[str] = []
    with machine_lease(notes.append):
        assert notes == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("shared", ["files", "socket"])
def test_another_user_waits_as_well(lease_name: str, monkeypatch: pytest.MonkeyPatch, shared: str) -> None:
    share(shared, monkeypatch)
    notes, child_writes = os.pipe()
    child_reads, begin = os.pipe()
    child = os.fork()  # before the lease is taken: a copy of this process would hold it as well
    if not child:
        status = 1
        try:
            os.setuid(NOBODY)
            os.read(child_reads, 1)
            with machine_lease(lambda _: void(os.write(child_writes, b"waiting"))):
                os.write(child_writes, b"measuring")
            status = 0
        finally:
            os._exit(status)
    with machine_lease(print):
        os.write(begin, b"1")
        assert os.read(notes, 99) == b"waiting"
    assert os.read(notes, 99) == b"measuring"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    for descriptor in (notes, child_writes, child_reads, begin):
        os.close(descriptor)


def void(_: object) -> None:
    """For a function that returns something nobody needs."""


def share(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container, only the files or only the socket may be shared with other drivers."""
    if shared == "files":
        monkeypatch.setattr(lease, "_locked_socket", lambda *_: contextlib.nullcontext())
    if shared == "socket":
        monkeypatch.setattr(lease, "FOLDERS", ())


def test_links_and_other_kinds_of_files_are_refused(
    tmp_path: Path, lease_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o1777)
    monkeypatch.setattr(lease, "FOLDERS", (tmp_path,))
    file, target = tmp_path / f"{lease_name}.lock", tmp_path / "precious"
    target.write_text("precious")
    file.symlink_to(target)
    with pytest.raises(HarnessError, match="the lock file is a link"), machine_lease(print):
        pass
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(HarnessError, match="is not a regular file"), machine_lease(print):
        pass
    assert target.read_text() == "precious"


def test_only_folders_of_everybody_are_used_and_any_user_can_open_the_file(
    tmp_path: Path, lease_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, shared = tmp_path / "private", tmp_path / "shared"
    private.mkdir(mode=0o755)
    shared.mkdir()
    shared.chmod(0o1777)
    monkeypatch.setattr(lease, "FOLDERS", (private, shared, tmp_path / "none"))
    before = os.umask(0o077)
    try:
        with machine_lease(print):
            assert [path.name for path in tmp_path.rglob("*.lock")] == [f"{lease_name}.lock"]
            assert (shared / f"{lease_name}.lock").stat().st_mode & 0o777 == 0o444
    finally:
        os.umask(before)


def test_a_process_that_only_listens_to_the_name_is_waited_for_until_it_ends(lease_name: str) -> None:
    """Whoever has the name holds the lease; there is no second way to take it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(f"\0{lease_name}")
        listener.listen(1)
        waiter = other_driver(lease_name)
        assert first_line(waiter).startswith(f"waiting for process {os.getpid()}")
    assert waiter.communicate(timeout=30)[0] == "measuring\n"
