from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.doctor.checks.disks import ENOUGH_BYTES, check_disks
from tests.doctor.conftest import FakeMachine
from tests.support.real_disk import mounted

RESULTS = "disk of results"


def test_a_folder_that_does_not_exist_yet_is_judged_by_the_one_above(
    fake: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def usage(path: Path) -> SimpleNamespace:
        asked.append(path)
        return SimpleNamespace(free=ENOUGH_BYTES)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    findings = fake.findings(check_disks, results=fake.root / "new" / "results")
    assert {finding.state for finding in findings.values()} == {"ok"}
    assert set(asked) == {fake.root}
    assert f"{fake.root}/new/results: 2 GiB free" in findings[RESULTS].seen


def test_a_full_disk(fake: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=ENOUGH_BYTES - 1))
    assert {finding.state for finding in fake.findings(check_disks).values()} == {"limited"}


def test_a_file_where_a_folder_should_be(fake: FakeMachine) -> None:
    fake.write("results", "")
    findings = fake.findings(check_disks)
    assert (findings[RESULTS].state, findings["disk of reports"].state) == ("missing", "ok")


def test_a_folder_that_cannot_be_written(fake: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    assert {finding.state for finding in fake.findings(check_disks).values()} == {"missing"}


def test_a_read_only_file_system(fake: FakeMachine) -> None:
    with mounted(fake.root / "disk", "ro") as disk:
        finding = fake.findings(check_disks, results=disk / "new")[RESULTS]
    assert finding.state == "missing"
    assert finding.seen.endswith("; the file system is read-only")


def test_a_cache_behind_a_network(fake: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store has a finding of its own, and nothing waits for a report."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=ENOUGH_BYTES))
    fake.write("proc/self/mountinfo", f"24 1 0:40 / {fake.root} rw - nfs4 server:/home rw\n")
    findings = fake.findings(check_disks)
    assert {subject: finding.state for subject, finding in findings.items()} == {
        RESULTS: "ok",
        "disk of reports": "ok",
        "disk of cache": "limited",
    }
    assert all(
        finding.seen.endswith(", on nfs4, which other machines may share") for finding in findings.values()
    )
    assert "HARNESS_CACHE" in findings["disk of cache"].advice
