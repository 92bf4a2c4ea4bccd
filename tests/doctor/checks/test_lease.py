"""The lease as the kernel lists it; and a real one, which looking at does not disturb."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.doctor import Machine
from harness.doctor.checks.lease import check_lease
from harness.run import lease
from harness.run.lease import machine_lease
from tests.doctor.conftest import FakeMachine

HEAD = "Num       RefCount Protocol Flags    Type St Inode Path\n"
LISTENING = "00000000a8f9: 00000002 00000000 00010000 0001 01 4711 @{}\n"
CONNECTED = "00000000a8fa: 00000003 00000000 00000000 0001 03 4712 @{}\n"


def test_nobody(fake: FakeMachine) -> None:
    fake.write("proc/net/unix", HEAD + LISTENING.format("another") + CONNECTED.format(lease.NAME) + "a b\n")
    fake.write("proc/locks", "1: FLOCK  ADVISORY  WRITE 7 fe:00:9 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 7\n")
    assert fake.only(check_lease).state == "ok"


def test_the_listener_is_named_if_its_files_can_be_seen(fake: FakeMachine) -> None:
    fake.write("proc/net/unix", HEAD + LISTENING.format(lease.NAME))
    finding = fake.only(check_lease)
    assert finding.state == "limited"
    assert finding.seen.startswith("a driver of another user or container")
    for pid, target in ((8, "socket:[1]"), (9, "socket:[4711]")):
        (fake.root / f"proc/{pid}/fd").mkdir(parents=True)
        (fake.root / f"proc/{pid}/fd/3").symlink_to(target)
    assert fake.only(check_lease).seen == "process 9 is training or measuring on this machine"


def test_the_lock_of_a_file_counts_where_the_socket_is_not_shared(fake: FakeMachine) -> None:
    fake.write(f"tmp/{lease.NAME}.lock", "")
    status = (fake.root / f"tmp/{lease.NAME}.lock").stat()
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    fake.write("proc/locks", f"1: FLOCK  ADVISORY  WRITE 12 {device}:{status.st_ino} 0 EOF\n")
    assert fake.only(check_lease).seen == "process 12 is training or measuring on this machine"
    fake.write("proc/locks", f"1: FLOCK  ADVISORY  WRITE -1 {device}:{status.st_ino} 0 EOF\n")
    assert fake.only(check_lease).seen.startswith("a driver of another user or container")


def test_a_real_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "NAME", f"doctor-{os.getpid()}")
    machine = Machine(results=tmp_path, reports=tmp_path, cache=tmp_path, store="x.db")
    notes: list[str] = []
    with machine_lease(notes.append):
        (held,) = check_lease(machine)
    (free,) = check_lease(machine)
    assert (held.state, free.state) == ("limited", "ok")
    assert held.seen == f"process {os.getpid()} is training or measuring on this machine"
