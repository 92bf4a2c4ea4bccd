from __future__ import annotations

import sqlite3

import pytest

from harness.doctor.checks.sqlite_journal import check_sqlite_journal
from tests.doctor.conftest import FakeMachine

SYSTEM = "file system of the store"


@pytest.mark.parametrize(
    ("version", "state", "seen"),
    [
        ("3.40.1", "limited", "version 3.40.1: rollback journal"),
        ("3.51.2", "limited", "version 3.51.2: rollback journal"),
        ("3.51.3", "ok", "version 3.51.3: write-ahead log (WAL)"),
        ("3.44.6", "ok", "version 3.44.6: write-ahead log (WAL)"),
    ],
)
def test_the_journal_follows_the_version(
    fake: FakeMachine, monkeypatch: pytest.MonkeyPatch, version: str, state: str, seen: str
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version", version)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", tuple(map(int, version.split("."))))
    finding = fake.findings(check_sqlite_journal)["SQLite"]
    assert (finding.state, finding.seen) == (state, seen)


def test_a_server_needs_no_journal(fake: FakeMachine) -> None:
    finding = fake.only(check_sqlite_journal, store="postgresql://user@host/database")
    assert finding.state == "ok"
    assert "the store is a server" in finding.seen


def test_a_store_on_a_disk_of_this_machine(fake: FakeMachine) -> None:
    mount(fake, "ext4", "rw,errors=remount-ro")
    finding = fake.findings(check_sqlite_journal)[SYSTEM]
    assert (finding.state, finding.seen) == ("ok", "ext4, which only this machine uses")


@pytest.mark.parametrize(
    ("kind", "options", "locks"),
    [
        ("nfs4", "rw,hard,local_lock=none", "locks reach other machines"),
        ("nfs", "rw,nolock,local_lock=all", "locks do not reach other machines"),
        ("cifs", "rw,vers=3.1.1", "locks do not reach other machines"),
        ("never-heard-of", "rw", "locks do not reach other machines"),
    ],
)
def test_a_store_on_the_file_system_of_a_network(
    fake: FakeMachine, monkeypatch: pytest.MonkeyPatch, kind: str, options: str, locks: str
) -> None:
    """Whatever the version of SQLite, there is a rollback journal, as `use_safest_journal` chooses it."""
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.51.3")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 3))
    mount(fake, kind, options)
    findings = fake.findings(check_sqlite_journal)
    journal = "version 3.51.3: rollback journal, because of the file system of the store"
    assert (findings["SQLite"].state, findings["SQLite"].seen) == ("ok", journal)
    shared = f"{kind}, which other machines may share: rollback journal, synchronous=EXTRA; {locks}"
    assert (findings[SYSTEM].state, findings[SYSTEM].seen) == ("limited", shared)
    assert "SQLite cannot tell two machines apart" in findings[SYSTEM].meaning or locks.startswith(
        "locks reach"
    )
    assert "PostgreSQL" in findings[SYSTEM].advice


def mount(fake: FakeMachine, kind: str, options: str) -> None:
    """The folders of the machine are on a file system of this kind."""
    fake.write("proc/self/mountinfo", f"24 1 0:40 / {fake.root} rw,relatime - {kind} server:/x {options}\n")
