"""`harness watch`, once and in a pipe, on stores with a run that is open or has ended."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from harness.cli.app import app
from harness.store.store import open_store
from harness.trial.outcome import Outcome
from tests.support.stored_run import create, finish, trial

SPECS = [trial(seed, arm) for seed in range(2) for arm in ("none", "dynamic")]


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def watched(results: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["watch", "mine", "--results", str(results), *options])


def test_a_run_that_is_not_running_says_so(results: Path) -> None:
    with open_store(results / "harness.db") as store:
        run = create(store, study="mine", trials=SPECS)
        finish(store, run, *SPECS[:3])
    done = watched(results)
    assert (done.exit_code, done.stdout) == (
        0,
        f"mine is not running: 3 of 4 trials of run {run.id} have finished\n",
    )
    assert json.loads(watched(results, "--json").stdout) == {
        "running": False,
        "study": "mine",
        "run": run.id,
        "finished": 3,
        "planned": 4,
    }


def test_a_study_without_a_run_is_refused(results: Path) -> None:
    open_store(results / "harness.db").close()
    done = watched(results)
    assert done.exit_code == 2
    assert "the store has no run of a study 'mine'" in done.stderr


def test_once_shows_the_state_and_writes_nothing(results: Path) -> None:
    with open_store(results / "harness.db") as store:
        run = create(store, study="mine", trials=SPECS)
        finish(store, run, SPECS[0])
        session = store.open_session(run, {})
        store.begin_trial(run, session, SPECS[1], position=1)
        before = store.attempts_now(run)
        shown, data = watched(results, "--once"), json.loads(watched(results, "--json").stdout)
        assert store.attempts_now(run) == before
        store.close_session(session)
    assert shown.exit_code == 0, shown.output
    head, progress, now, machine, *table = shown.stdout.splitlines()
    assert f"mine (cpu), run {run.id}: process {session.pid} on {session.host}" in head
    assert progress.startswith("1 of 4 trials finished")
    assert now.startswith(f"now: {SPECS[1].title}, for ")
    assert machine.startswith("machine: processors ")
    assert table == ["arm\trounds\tfinished", "none\t●·\t1 of 2", "dynamic\t▶·\t0 of 2"]
    counts = data["running"], data["finished"], data["planned"]
    assert (*counts, data["trial"]["id"]) == (True, 1, 4, SPECS[1].id)


def test_in_a_pipe_it_ends_with_the_run(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(results / "harness.db") as store:
        run = create(store, study="mine", trials=SPECS)
        session = store.open_session(run, {})
        waits: list[float] = []

        def wait(seconds: float) -> bool:
            """Three trials end while the watcher waits for the first time, and the run ends next."""
            waits.append(seconds)
            if len(waits) == 1:
                for position, spec in enumerate(SPECS[:3]):
                    attempt = store.begin_trial(run, session, spec, position=position)
                    store.finish_trial(attempt, Outcome(status="finished"), seconds=1.0)
            elif len(waits) == 2:
                store.close_session(session)
            return False

        monkeypatch.setattr("harness.cli.watching._sleep", wait)
        done = watched(results)
    lines = [line.partition(" ")[2] for line in done.stdout.splitlines()[:-1]]
    assert lines[0].startswith(f"mine (cpu), run {run.id}: process ")
    assert lines[-1].startswith("75 %, 3 of 4 trials, machine: ")
    assert done.stdout.splitlines()[-1] == f"mine has ended: 3 of 4 trials of run {run.id} have finished"
