from __future__ import annotations

import sqlite3

import pytest

from harness.doctor.checks.sqlite_journal import check_sqlite_journal
from tests.doctor.conftest import FakeMachine


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
    finding = fake.only(check_sqlite_journal)
    assert (finding.state, finding.seen) == (state, seen)


def test_a_server_needs_no_journal(fake: FakeMachine) -> None:
    finding = fake.only(check_sqlite_journal, store="postgresql://user@host/database")
    assert finding.state == "ok"
    assert "the store is a server" in finding.seen
