"""Tuning by a search: every arm gets the same number of candidates, chosen from its own results alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.errors import StudyError
from harness.search.tuning import next_candidates
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import TrialBatch, plan, schedule
from harness.study.planning.resolved import is_open, resolve
from harness.study.planning.results import RunResults, StoredResult
from harness.study.seeds import FIRST_TUNING_SEED
from harness.trial.spec import TrialSpec
from tests.support.tiny_study import LOSS, lr, tuned_study

GRID = "    grid:\n      optimizer.lr: [1e-4, 1e-3, 1e-2]\n"
SEARCH = "    search: {space: {optimizer.lr: {factor: 100}}, points: 6}\n"
OPTIMA = {"clip=1.0": 1e-3, "clip=0.5": 3e-2, "clip=0.25": 1e-4, "clip=2.0": 1e-3}


def study(folder: Path, search: str = SEARCH, *patches: tuple[str, str]) -> LoadedStudy:
    return tuned_study(folder, (GRID, search), *patches)


def valley(spec: TrialSpec) -> float:
    """A loss with its optimum at the arm's own rate."""
    return 2.0 + abs(math.log10(lr(spec) / OPTIMA[spec.arm])) + 0.001 * (spec.seed % 7)


class Session:
    """Runs batches of a plan without a driver. `asked` and `finished` outlive every session."""

    def __init__(self, loaded: LoadedStudy) -> None:
        self.loaded = loaded
        self.asked: list[TrialSpec] = []
        self.finished: dict[str, StoredResult] = {}

    @property
    def results(self) -> RunResults:
        return RunResults(self.finished, lost={}, tuning=[spec.model_dump_json() for spec in self.asked])

    def run(self, *, trials: int | None = None) -> list[TrialBatch]:
        """Up to `trials` trials. A batch is recorded as a whole before its first trial runs."""
        batches, left = [], itertools.count() if trials is None else iter(range(trials))
        for batch in schedule(self.loaded, lambda: self.results, next_candidates):
            known = {spec.id for spec in self.asked}
            if batch.purpose == "tune":
                self.asked += [spec for spec in batch.trials if spec.id not in known]
            batches.append(batch)
            for spec in batch.trials:
                if spec.id in self.finished:
                    continue
                if next(left, None) is None:
                    return batches
                values = {LOSS: valley(spec)}
                self.finished[spec.id] = StoredResult(
                    spec_id=spec.id, session=1, diverged=False, values=values
                )
        return batches


def rates(specs: Sequence[TrialSpec]) -> dict[str, list[float]]:
    """The rates that each arm was tried with, in their order."""
    tried: dict[str, list[float]] = {arm: [] for arm in OPTIMA}
    for spec in specs:
        if lr(spec) not in tried[spec.arm]:
            tried[spec.arm].append(lr(spec))
    return tried


def test_every_arm_has_as_many_candidates_and_begins_with_itself(tmp_path: Path) -> None:
    session = Session(study(tmp_path, SEARCH, ("primary:", "    seeds: 2\nprimary:")))
    batches = session.run()
    assert [batch.purpose for batch in batches] == ["tune"] * 6 + ["measure"] * 7
    assert {spec.seed for spec in session.asked} == {FIRST_TUNING_SEED, FIRST_TUNING_SEED + 1}
    tried = rates(session.asked)
    assert {arm: (len(values), values[0]) for arm, values in tried.items()} == dict.fromkeys(
        OPTIMA, (6, 1e-3)
    )
    assert all(1e-5 <= rate <= 1e-1 for values in tried.values() for rate in values)
    assert tried["clip=0.5"] != tried["clip=0.25"], "each follows its own results"
    assert tried["clip=1.0"] == tried["clip=2.0"], "equal results, equal candidates"


def test_each_arm_is_measured_with_its_best_candidate(tmp_path: Path) -> None:
    session = Session(study(tmp_path))
    measured = [spec for batch in session.run() if batch.purpose == "measure" for spec in batch.trials]
    for arm, optimum in OPTIMA.items():
        tried = rates(session.asked)[arm]
        best = min(tried, key=lambda rate: abs(math.log10(rate / optimum)))
        assert {lr(spec) for spec in measured if spec.arm == arm} == {best}
    closed = resolve(session.loaded, session.results)
    assert [len(arm.tried) for arm in closed.tuned] == [6] * 4


@pytest.mark.parametrize("trials", [1, 4, 10, 23])
def test_an_interrupted_tuning_asks_the_same_candidates(tmp_path: Path, trials: int) -> None:
    complete, broken = Session(study(tmp_path)), Session(study(tmp_path))
    complete.run()
    broken.run(trials=trials)
    assert is_open(resolve(broken.loaded, broken.results))
    planned = [plan(session.loaded, session.results).trials for session in (broken, complete)]
    assert len(planned[0]) == len(planned[1])
    broken.run()
    assert [spec.id for spec in broken.asked] == [spec.id for spec in complete.asked]
    assert plan(broken.loaded, broken.results) == plan(complete.loaded, complete.results)


def test_a_candidate_that_failed_ends_the_tuning(tmp_path: Path) -> None:
    session = Session(study(tmp_path))
    session.run(trials=9)
    assert next_candidates(session.loaded, session.results) == ()


def test_a_small_space_is_asked_without_repetitions(tmp_path: Path) -> None:
    space = "    search: {space: {schedule.warmup: {low: 0, high: 3}}, points: 4}\n"
    session = Session(study(tmp_path, space))
    session.run()
    for arm in OPTIMA:
        asked = [spec.config["schedule"]["warmup"] for spec in session.asked if spec.arm == arm]
        assert asked[0] == 1
        assert sorted(asked) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (GRID + SEARCH, "tuning needs either `grid` or `search`"),
        ("    seeds: 1\n", "tuning needs either `grid` or `search`"),
        (SEARCH.replace("points: 6", "points: 1"), "must be at least 2"),
        (SEARCH.replace("factor: 100", "factor: 1"), "must be greater than 1"),
        (SEARCH.replace("optimizer.lr", "optimizer.rl"), "there is no setting 'optimizer.rl'; did you mean"),
        (SEARCH.replace("optimizer.lr", "corpus"), "so values around it cannot be computed; give `low`"),
        (SEARCH.replace("optimizer.lr", "clip"), "clip is a factor of the study, so it cannot be tuned"),
        (
            SEARCH.replace("{factor: 100}", "{low: 1e-2, high: 1e-1}"),
            "optimizer.lr is 0.001, which is not in the space of its tuning; widen the range",
        ),
        (
            SEARCH.replace("optimizer.lr: {factor: 100}", "schedule.warmup: {low: 0, high: 3}"),
            "the space has only 4 points, but 6 are asked",
        ),
        (
            SEARCH.replace("optimizer.lr: {factor: 100}", "evaluate_every: {low: 1, high: 8}"),
            "evaluate_every says how arms are measured, so it cannot be tuned",
        ),
        (
            SEARCH.replace("optimizer.lr: {factor: 100}", "batch: {low: 1, high: 8}"),
            "tuning would choose the",
        ),
        (SEARCH.replace("points: 6", "points: 6, sampler: {kind: cma-es}"), "is not an allowed value"),
    ],
)
def test_what_cannot_be_searched_is_refused(tmp_path: Path, search: str, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        study(tmp_path, search)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))
