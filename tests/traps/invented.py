"""Experiments whose trials give invented values, through the real driver, store, analysis and report."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

import harness
from harness.experiment import Experiment, Workspace
from harness.machine.environment import environment
from harness.run.identity import Setting
from harness.run.job import Job
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec
from tests.end_to_end.in_process import Scripted
from tests.support.tiny_study import LOSS, RECIPE, put

STUDY = (
    """\
study: tiny
question: Does clipping help?
task: train
base:
"""
    + "".join(f"  {line}\n" for line in RECIPE.splitlines())
    + """\
compare:
  clip: [1.0, 0.5]
design: {seeds: 6}
primary: validation_loss
claims:
  better: {source: x, says: It is better., level: {clip: 0.5}, direction: better}
"""
)


def slightly_better(spec: TrialSpec) -> float:
    """A loss that is 0.8 % lower in the second arm, which is within the default margin of 1 %."""
    noise = random.Random(f"{spec.generator}/{spec.arm}").gauss(0, 0.0005)
    return 2.0 * (1 + noise) * (1 if spec.arm == "clip=1.0" else 0.992) * (1 + 0.01 * spec.seed)


class _Backend(Scripted):
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass
class Invented:
    """A folder with a study and a store. `value` gives every one of the `metrics` of a trial; `code` may
    change between runs.
    """

    folder: Path
    text: str = STUDY
    value: Callable[[TrialSpec], float] = slightly_better
    code: str = "c0de"
    broken: Callable[[TrialSpec], bool] = lambda _spec: False
    metrics: tuple[str, ...] = (LOSS, "loss")
    jobs: list[Job] = field(default_factory=list)

    def experiment(self, *settings: str, name: str = "tiny.yaml") -> Experiment:
        study = put(self.folder, self.text, name=name)
        workspace = Workspace(results=self.folder, reports=self.folder / "reports")
        return harness.load(study, settings=settings, workspace=workspace)

    def run(self, *settings: str, fresh: bool = False, retry_failed: bool = False) -> Experiment:
        experiment = self.experiment(*settings).run(fresh=fresh, retry_failed=retry_failed)
        experiment.judge()
        return experiment

    def backend(self, **_: Any) -> _Backend:
        def decide(job: Job) -> Outcome:
            self.jobs.append(job)
            if self.broken(job.spec):
                return Outcome(status="failed", error="broken")
            samples = tuple(Sample(name, 3, self.value(job.spec)) for name in self.metrics)
            return Outcome(status="finished", samples=samples, spent={"updates": 4.0})

        return _Backend(decide)

    def setting(self, *, fresh: bool = False, retry_failed: bool = False) -> Setting:
        return Setting(
            results=self.folder,
            environment=environment(),
            code=self.code,
            corpora=("text",),
            fresh=fresh,
            retry_failed=retry_failed,
        )


@pytest.fixture
def invented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invented:
    made = Invented(tmp_path)
    monkeypatch.setattr("harness.run.backends.local.LocalBackend", made.backend)
    for name in ("check_installed", "check_texts"):
        monkeypatch.setattr(f"harness.experiment.experiment.{name}", lambda *_: None)
    monkeypatch.setattr("harness.experiment.experiment.fetch_corpora", lambda *_: [])
    monkeypatch.setattr(Experiment, "setting", lambda _self, **wanted: made.setting(**wanted))
    return made
