"""One module, named as a plug-in, adds one part of every kind that a study uses, and the study runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest

from harness.analysis.claims import settlement
from harness.config import digest
from harness.errors import StudyError
from harness.invariants.registry import INVARIANTS
from harness.machine.code_digest import plugins_digest
from harness.plugins import PLUGINS_VARIABLE, using
from harness.report.build import sections
from harness.run import lease
from harness.run.job import Job
from harness.run.worker import run_job
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import plan
from harness.trial.outcome import read_events
from tests.support.plugins import METRIC, OPTIMIZER, importable, write_module
from tests.support.tiny_study import RECIPE

OTHERS = '''
from pydantic import Field

from harness.analysis.claims.bounds import BoundSettlement
from harness.data.catalogue import CatalogueEntry
from harness.invariants.base import Check, Invariant
from harness.invariants.subjects import TrainingSubject
from harness.report.build import Section
from harness.study.claims.arms import MetricComparison
from harness.tasks.train import Train


class Trained(Train):
    """Training, under another name."""

    name = "trained"


class OutrunClaim(MetricComparison):
    """`metric` of the arm is at least `outruns` times the other arm's."""

    settled_by = "my_parts:OutrunSettlement"
    outruns: float = Field(gt=0.0)

    @classmethod
    def form(cls):
        return "outruns"


class OutrunSettlement(BoundSettlement[OutrunClaim]):
    side = 1


class FiniteWeights(Invariant[TrainingSubject]):
    name = "finite-weights"
    statement = "All weights of a new model are finite."
    planted_bugs = ()

    def check_generic(self, level):
        yield from ()

    def check_subject(self, subject):
        weights = list(subject.model.parameters())
        yield Check(
            case="weights",
            precision="float32",
            passed=all(weight.isfinite().all() for weight in weights),
            deviation=0.0,
            tolerance=0.0,
            compared=sum(weight.numel() for weight in weights),
            skipped=0,
        )


counted = Section(
    id="counted",
    title="Counted trials",
    view=lambda part: {"trials": part.run.finished_trials},
    template="<p>{{ view.trials }} trials have finished &amp; count.</p>",
)
'''
STUDY = f"""\
study: plugged
question: Does the new optimizer train?
task: trained
base:
{indent(RECIPE, "  ")}compare:
  optimizer: [{{adamw: {{}}}}, {{sign: {{optimizer: {{kind: sign, lr: 1e-3}}}}}}]
design: {{seeds: 2, exploratory: true}}
primary: validation_loss
invariants: [finite-weights]
claims:
  gap:
    source: here
    says: The gap is compared.
    level: {{optimizer: sign}}
    metric: generalisation_gap
    no_difference: true
  outruns:
    source: here
    says: It is better.
    level: {{optimizer: sign}}
    metric: validation_loss
    outruns: 0.01
  finite: {{source: here, says: They are., holds: finite-weights}}
"""


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoadedStudy]:
    """The study, with the plug-in in this process."""
    monkeypatch.delenv(PLUGINS_VARIABLE, raising=False)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    write_module(tmp_path, "my_parts", OPTIMIZER, METRIC, OTHERS)
    (tmp_path / "plugged.yaml").write_text(STUDY, encoding="utf-8")
    with importable(tmp_path, "my_parts"), using(["my_parts"]):
        (part,) = load_study(tmp_path / "plugged.yaml")
        yield part


def job_of(loaded: LoadedStudy, arm: str, tmp_path: Path, plugins: str) -> Job:
    spec = next(spec for spec in plan(loaded).rounds[0] if spec.arm == arm)
    checkpoints = {digest(dict(spec.config)): str(tmp_path / "model")}
    return Job(
        spec=spec, events=str(tmp_path / "events"), checkpoints=checkpoints, threads=1, plugins=plugins
    )


def test_a_trial_trains_and_computes_the_metric(loaded: LoadedStudy, tmp_path: Path) -> None:
    run_job(job_of(loaded, "optimizer=sign", tmp_path, plugins_digest()))
    outcome = read_events((tmp_path / "events").read_bytes().splitlines(keepends=True), died="")
    assert (outcome.status, outcome.error) == ("finished", None)
    values = {sample.metric: sample.value for sample in outcome.samples}
    assert values["generalisation_gap"] == values["validation_loss"] - values["loss"]


def test_a_trial_refuses_other_plugins_than_those_of_the_driver(loaded: LoadedStudy, tmp_path: Path) -> None:
    before = plugins_digest()
    with (tmp_path / "my_parts.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    run_job(job_of(loaded, "optimizer=adamw", tmp_path, before))
    outcome = read_events((tmp_path / "events").read_bytes().splitlines(keepends=True), died="")
    assert outcome.status == "failed"
    assert str(outcome.error).startswith("the plug-ins of this worker are not those of the driver; ")


def test_a_form_of_claim_and_a_section_come_with_what_they_need(loaded: LoadedStudy) -> None:
    claim = loaded.study.claims["outruns"]
    assert settlement(type(claim)).__name__ == "OutrunSettlement"
    titles = [section.title for section in sections()]
    assert titles[-2:] == ["Counted trials", "Method"]
    assert INVARIANTS["finite-weights"].statement == "All weights of a new model are finite."


def test_without_the_plugin_the_study_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "plugged.yaml").write_text(STUDY.partition("invariants")[0], encoding="utf-8")
    with pytest.raises(StudyError, match=r"plugged.yaml:3:7: unknown task 'trained'; did you mean 'train'"):
        load_study(tmp_path / "plugged.yaml")


@pytest.mark.slow
def test_a_study_runs_with_a_module_in_the_working_directory(tmp_path: Path) -> None:
    write_module(tmp_path, "my_parts", OPTIMIZER, METRIC, OTHERS)
    (tmp_path / "plugged.yaml").write_text(STUDY, encoding="utf-8")
    program = f"import harness.run.lease as l; l.NAME = {lease.NAME!r}; from harness.cli import main; main()"
    run = subprocess.run(
        [sys.executable, "-P", "-c", program, "run", "plugged.yaml", "--json", "--plugin", "my_parts"],
        cwd=tmp_path,
        env={**os.environ, "HARNESS_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    claims = {claim["id"]: claim for claim in json.loads(run.stdout)["claims"]}
    assert claims["gap"]["n"] == 2
    assert claims["gap"]["effect"] != 0.0
    assert claims["outruns"]["claimed"] == 0.01
    assert claims["finite"]["verdict"] == "confirmed"
    report = (tmp_path / "reports" / "plugged.html").read_text(encoding="utf-8")
    assert "<p>6 trials have finished &amp; count.</p>" in report
