"""A small run with invented samples, the file of its study, and its report."""

from __future__ import annotations

import math
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.invariants.base import Check
from harness.report.build import write_report
from harness.report.source import report_input
from harness.store.rows import Identity
from harness.store.store import open_store
from harness.study.load import load_study
from harness.study.planning.plan import plan
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec
from tests.end_to_end.workplace import Workplace


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A store with one run, the report of this run, and its study."""

    store: Path
    report: Path
    study: Path
    run: str

    def copy(self, folder: Path) -> Reported:
        """A copy, for tests that change the store or the report."""
        store, report = folder / "harness.db", folder / "report.html"
        shutil.copy(self.store, store)
        shutil.copy(self.report, report)
        return Reported(store=store, report=report, study=self.study, run=self.run)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    folder = tmp_path_factory.mktemp("filled")
    workplace = Workplace.make(folder, cache=folder, code=folder)
    settings = ("design.rounds=8", "margins.time=0.04")
    (loaded,) = load_study(workplace.study, "cpu", settings)
    report = folder / "tiny.html"
    with open_store(folder / "harness.db") as store:
        specs = plan(loaded).trials
        run = store.create_run(
            Identity(study_digest="5" * 16, scale="cpu", code_digest="c" * 16, environment_digest="e" * 16),
            study="tiny",
            study_json=loaded.study.model_dump_json(),
            study_source=loaded.source,
            environment={"cpu": "Example 9000", "cores": 2},
            trials=specs,
        )
        session = store.open_session(run, {"argv": ["harness", "run", "tiny"], "load": [0.25, 0.5, 0.75]})
        for position, spec in enumerate(specs):
            attempt = store.begin_trial(run, session, spec, position=position)
            store.finish_trial(attempt, _outcome(spec), seconds=1.25, nvml_reason="no driver")
        store.close_session(session)
        write_report([report_input(store, loaded, run)], report)
    return Reported(store=folder / "harness.db", report=report, study=workplace.study, run=run.id)


def _outcome(spec: TrialSpec) -> Outcome:
    if spec.purpose != "measure":
        check = Check(
            case="one query",
            precision="float64",
            passed=True,
            deviation=2e-15,
            tolerance=1e-10,
            compared=64,
            skipped=0,
        )
        return Outcome(status="finished", checks=(check,) if spec.purpose == "check" else ())
    chance = random.Random(spec.id)
    tokens, cached = int(spec.condition["new_tokens"]), spec.arm != "cache=none"
    speed = 700 * (1 + cached * math.log2(tokens) / 8) * math.exp(chance.gauss(0, 0.02))
    held = float(cached * 1024 * (tokens + 8))
    values = {
        "decode_tokens_per_second": speed,
        "first_token_seconds": 4 / speed,
        "cache_bytes": held,
        "cache_bytes_formula": held,
        "peak_tensor_bytes": 2e6 + held,
    }
    samples = tuple(Sample(name, 0, value) for name, value in values.items())
    return Outcome(status="finished", samples=samples, spent={"new_tokens": 2.0 * tokens})
