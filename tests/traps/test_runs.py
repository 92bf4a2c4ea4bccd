"""Who was fooled: those whose code was edited while the run went on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import ChangedError
from harness.machine.environment import Environment, environment
from harness.run.driver import Driver
from harness.run.identity import Setting
from harness.run.job import Job
from harness.store.store import Store, open_store
from harness.study.loaded import LoadedStudy
from harness.trial.outcome import Outcome
from tests.end_to_end.in_process import Notes, Scripted, obedient
from tests.support.tiny_study import loaded

TWO_ARMS = ("dynamic, static]", "dynamic]")


@pytest.fixture(scope="module")
def here() -> Environment:
    return environment()


@pytest.fixture(autouse=True)
def lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease of its own, so that no other measurement on this machine is waited for."""
    monkeypatch.setattr("harness.run.lease.tempfile.gettempdir", lambda: str(tmp_path))


def drive(store: Store, study: LoadedStudy, here: Environment, decide: Callable[[Job], Outcome]) -> Scripted:
    backend = Scripted(decide)
    setting = Setting(results=study.path.parent, environment=here, code="c0de", corpora=())
    Driver(study, setting, store=store, backend=backend, listener=Notes()).run()
    return backend


def test_code_that_is_edited_after_two_trials_of_a_round(tmp_path: Path, here: Environment) -> None:
    """Trap 15, with a recipe in place of the code: the later rounds would measure something else."""
    study = loaded(tmp_path, TWO_ARMS)
    recipe = study.path.parent / "recipes" / "small.yaml"
    measured = 0

    def decide(job: Job) -> Outcome:
        nonlocal measured
        measured += job.spec.purpose == "measure"
        if measured == 8:
            recipe.write_text(recipe.read_text() + "# edited\n")
        return obedient(job)

    with open_store(tmp_path / "harness.db") as store:
        with pytest.raises(ChangedError, match=r"small.yaml changed during the run"):
            drive(store, study, here, decide)
        rows = store.trials(store.runs()[-1], include_superseded=True)
    assert Counter((row.round, row.state) for row in rows if row.purpose == "measure") == {
        (1, "finished"): 6,
        (2, "superseded"): 6,
    }
