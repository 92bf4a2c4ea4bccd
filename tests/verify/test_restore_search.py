"""The report of a search follows from the store. A change in the points or in their samples is detected, and
so is a command that would search something else.
"""

from __future__ import annotations

import math
import random
import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from harness.errors import StoreError
from harness.report.build import write_report
from harness.report.source import report_input, with_search
from harness.search.findings import search_findings
from harness.store.rows import Identity, Run
from harness.store.store import Store, open_store
from harness.study.load import StudyFile
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import plan
from harness.study.search_options import SearchOptions
from harness.trial.outcome import STOPPED, Outcome, Sample
from harness.trial.spec import TrialSpec
from harness.verify.verify import Verification, verify
from tests.support.tiny_study import RECIPE, patched, put, spoilt

STUDY = f"""\
study: lr
question: Which rate is best?
task: train
base:
{indent(RECIPE, "  ")}compare:
  optimizer.lr: [1e-3, 3e-3]
design: {{seeds: 6}}
primary: validation_loss
search:
  space:
    optimizer.lr: {{low: 1e-4, high: 1e-1, log: true}}
    clip: {{choices: [0.5, 1.0, 2.0]}}
  points: 8
"""
PRUNED, CRASHED = 3e-4, 5e-3
POINTS: tuple[dict[str, Any], ...] = tuple(
    {"optimizer.lr": rate, "clip": clip}
    for rate, clip in ((1e-3, 1.0), (1e-2, 0.5), (3e-2, 1.0), (PRUNED, 2.0), (CRASHED, 1.0))
)


@dataclass(frozen=True, kw_only=True)
class Searched:
    """A store with a search and its proof, their report, and the study."""

    store: Path
    report: Path
    study: Path
    runs: tuple[str, str]

    @property
    def page(self) -> str:
        return self.report.read_text(encoding="utf-8")

    def change(self, statement: str) -> None:
        connection = sqlite3.connect(self.store)
        assert connection.execute(statement, (self.runs[1],)).rowcount >= 1
        connection.commit()
        connection.close()

    def verify(self) -> Verification:
        return verify(self.report, str(self.store))


def made(folder: Path, options: SearchOptions, text: str = STUDY) -> Searched:
    """A search with invented values. One point was pruned, and another one crashed."""
    study = put(folder, text, name="lr.yaml")
    search = StudyFile(study).search(over=options.overrides())
    points = [{name: point[name] for name in search.space.parameters} for point in POINTS]
    report, location = folder / "lr.search.html", folder / "harness.db"
    with open_store(location) as store:
        specs = [
            spec
            for point in points
            for spec in search.trials_of(search.task_of(point), search.space.names(point))
        ]
        run = _run(store, search.loaded, "search1-" + "5" * 16, specs)
        _fill(store, run, specs, _searched)
        findings = search_findings(store, run, (search.search, search.space, search.objectives))
        best = {level: search.space.read(point.names) for level, point in findings.best.items()}
        proof = search.proof_of(best)
        proof_run = _run(store, proof, "9" * 16, plan(proof).trials)
        _fill(store, proof_run, plan(proof).trials, _proven)
        shown = report_input(store, proof, proof_run)
        write_report([with_search(store, shown, (run, proof_run), options.words)], report)
    return Searched(store=location, report=report, study=study, runs=(proof_run.id, run.id))


def _run(store: Store, loaded: LoadedStudy, digest: str, specs: Sequence[TrialSpec]) -> Run:
    return store.create_run(
        Identity(study_digest=digest, scale="cpu", code_digest="c" * 16, environment_digest="e" * 16),
        study=loaded.study.study,
        study_json=loaded.study.model_dump_json(),
        study_source=loaded.source,
        environment={"cpu": "Example 9000", "cores": 2},
        trials=specs,
    )


def _fill(
    store: Store, run: Run, specs: Sequence[TrialSpec], outcome: Callable[[TrialSpec], Outcome]
) -> None:
    session = store.open_session(run, {"argv": ["harness", "search", "lr"], "load": [0.25, 0.5, 0.75]})
    for order, spec in enumerate(specs):
        for _ in (1, 2):
            begun = store.begin_trial(run, session, spec, position=order)
            ended = outcome(spec)
            store.finish_trial(begun, ended, seconds=1.25, nvml_reason="no driver")
            if ended.status == "finished" or STOPPED in ended.notes:
                break
    store.close_session(session)


def _searched(spec: TrialSpec) -> Outcome:
    rate = spec.config["optimizer"]["lr"]
    if rate == PRUNED:
        return Outcome(status="failed", error="stopped", notes={STOPPED: "given up after 1 seed"})
    if rate == CRASHED:
        return Outcome(status="failed", error="RuntimeError: out of memory")
    return _measured(spec, 0.0)


def _proven(spec: TrialSpec) -> Outcome:
    return _measured(spec, 0.2 if "baseline" in spec.arm else 0.0)


def _measured(spec: TrialSpec, worse: float) -> Outcome:
    chance = random.Random(spec.id)
    loss = 2.5 + abs(math.log10(spec.config["optimizer"]["lr"]) + 2) / 5 + worse + chance.gauss(0, 0.01)
    values = {"validation_loss": loss, "bits_per_byte": 2 * loss + 0.1 * spec.config["clip"]}
    return Outcome(status="finished", samples=tuple(Sample(name, 0, one) for name, one in values.items()))


NOTHING = SearchOptions(space=(), objective=(), sampler=None, enqueue=())


@pytest.fixture
def searched(tmp_path: Path) -> Searched:
    return made(tmp_path, NOTHING)


def test_an_unchanged_report_agrees_with_the_store(searched: Searched) -> None:
    verification = searched.verify()
    assert (verification.difference, verification.problems, verification.notes) == (None, (), ())
    assert verification.runs == searched.runs
    assert len(verification.chains) == 2
    assert len(set(verification.chains)) == 2
    for part in ("3 complete, 1 pruned, 1 failed", "given up after 1 seed", "RuntimeError: out of memory"):
        assert part in searched.page


def test_a_changed_trial_of_the_search_is_noticed(searched: Searched) -> None:
    searched.change(
        "UPDATE samples SET value = value + 0.5 WHERE metric = 'validation_loss' AND attempt_id = ("
        "SELECT min(attempts.id) FROM attempts JOIN trials ON trials.id = attempts.trial_id "
        "WHERE trials.run_id = ?)"
    )
    verification = searched.verify()
    assert verification.difference is not None
    assert verification.difference.where.startswith("Search")
    (problem,) = verification.problems
    assert problem.startswith(f"run {searched.runs[1]}: the samples of attempts changed: 1 ")


def test_a_changed_reason_is_noticed(searched: Searched) -> None:
    searched.change(
        "UPDATE attempts SET error = 'RuntimeError: nothing' WHERE error LIKE 'RuntimeError%' "
        "AND trial_id IN (SELECT id FROM trials WHERE run_id = ?)"
    )
    verification = searched.verify()
    assert verification.difference is not None
    assert verification.difference.recomputed == "RuntimeError: nothing"
    assert verification.difference.where.startswith("Points of the search")


def test_a_changed_number_of_the_page_is_located(searched: Searched) -> None:
    for pattern, where in (
        (r"(a gain of )(\d)", "Search"),
        (
            r'(<th scope="row">1 <span class="tag">proven: best</span></th><td class="number">0\.0)(\d)',
            "Points",
        ),
    ):
        page, count = re.subn(pattern, lambda match: f"{match[1]}{(int(match[2]) + 1) % 10}", searched.page)
        assert count == 1, pattern
        copy = replace(searched, report=searched.report.with_name("forged.html"))
        copy.report.write_text(page, encoding="utf-8")
        verification = copy.verify()
        assert verification.difference is not None
        assert where in verification.difference.where


def test_a_search_that_went_on_is_newer_than_the_report(searched: Searched) -> None:
    search = StudyFile(searched.study).search()
    point = {"optimizer.lr": 2e-2, "clip": 0.5}
    specs = search.trials_of(search.task_of(point), search.space.names(point))
    with open_store(searched.store) as store:
        run = next(run for run in store.runs() if run.id == searched.runs[1])
        store.extend_plan(run, specs)
        _fill(store, run, specs, _searched)
    verification = searched.verify()
    assert verification.problems == ()
    assert verification.difference is not None
    assert verification.difference.where == "the head of the chain"
    assert "after 1 more link" in verification.difference.recomputed


def test_a_store_without_the_search_is_bad_input(searched: Searched) -> None:
    page = searched.page.replace(searched.runs[1], "000000000000-1")
    searched.report.write_text(page, encoding="utf-8")
    with pytest.raises(StoreError, match="this store does not have the run 000000000000-1"):
        searched.verify()


def test_options_of_the_command_are_part_of_the_search(tmp_path: Path) -> None:
    options = SearchOptions(
        space=("optimizer.lr=1e-4:1e-1:log",),
        objective=("validation_loss", "bits_per_byte"),
        sampler="random",
        enqueue=(),
    )
    text = patched(STUDY, (STUDY[STUDY.index("search:") :], ""), ("seeds: 6", "seeds: 8"))
    searched = made(tmp_path, options, text)
    assert "--space optimizer.lr=1e-4:1e-1:log" in searched.page
    verification = searched.verify()
    assert (verification.difference, verification.notes) == (None, ())
    for old, new in (
        ("--space optimizer.lr=1e-4:1e-1:log", "--space optimizer.lr=1e-4:1:log"),
        ("--sampler random", "--sampler tpe"),
        ("--objective bits_per_byte", "--objective validation_perplexity"),
    ):
        copy = replace(searched, report=tmp_path / "forged.html")
        copy.report.write_text(spoilt(searched.page, old, new), encoding="utf-8")
        wrong = copy.verify().difference
        assert wrong is not None
        assert wrong.where == "the command that repeats the run"
        assert new in wrong.reported


def test_a_study_that_changed_afterwards_is_noted(searched: Searched) -> None:
    written = searched.study.read_text(encoding="utf-8")
    searched.study.write_text(written.replace("points: 8", "points: 9"), encoding="utf-8")
    verification = searched.verify()
    assert verification.difference is None
    assert "is missing or has changed" in verification.notes[0]
