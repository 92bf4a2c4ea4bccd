"""A study that is only judged otherwise runs nothing again: the same samples get other verdicts at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.machine.environment import environment
from harness.run.driver import Driver
from harness.run.identity import Setting, newest_run
from harness.store.rows import Run
from harness.store.store import open_store
from harness.study.loaded import LoadedStudy
from tests.end_to_end.in_process import Notes, Scripted, obedient
from tests.support.tiny_study import loaded

MARGIN = ("primary:", "margins: {time: 0.1}\nprimary:")
INVARIANT = ("[cache-parity, cache-bytes]", "[cache-parity, cache-bytes, padding-parity]")


@pytest.fixture(autouse=True)
def lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.run.lease.tempfile.gettempdir", lambda: str(tmp_path))


def drive(study: LoadedStudy, folder: Path) -> tuple[Run, list[tuple[str, str]]]:
    """The run, and the purpose and the task of every trial that had to run."""
    backend = Scripted(obedient)
    setting = Setting(results=folder, environment=environment(), code="c0de", corpora=())
    with open_store(folder / "harness.db") as store:
        run = Driver(study, setting, store=store, backend=backend, listener=Notes()).run()
        assert newest_run(store, study, setting).id == run.id
    return run, [(job.spec.purpose, job.spec.task) for job in backend.jobs]


def test_a_margin_runs_nothing_and_an_invariant_runs_its_checks(tmp_path: Path) -> None:
    first, jobs = drive(loaded(tmp_path), tmp_path)
    assert len(jobs) > 90
    assert drive(loaded(tmp_path, MARGIN), tmp_path) == (first, [])
    again, added = drive(loaded(tmp_path, INVARIANT), tmp_path)
    assert again.id == first.id
    assert added == [("check", "padding-parity")] * 3
