from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.doctor.checks.disks import ENOUGH_BYTES, check_disks
from tests.doctor.conftest import FakeMachine

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
