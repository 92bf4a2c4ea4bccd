"""Rounds that end early: by the width of intervals alone, after ten rounds at the least."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from harness.errors import StudyError
from harness.statistics.signed_rank import signed_rank_interval
from harness.study.checks.adaptive_design import check_adaptive_design
from harness.study.checks.checker import StudyChecker
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import longest_plan, plan
from harness.study.planning.resolved import last_round, resolve, rounds_wanted
from harness.study.planning.results import StoredResult
from harness.study.reading.yaml_document import read_text
from harness.study.schema import Until
from harness.tasks.registry import task_class
from harness.trial.spec import TrialSpec
from tests.analysis.written import written_study
from tests.support.tiny_study import SPEED, loaded, results, tuned_study

FIXED = "design: {seeds: 1, rounds: 10}"
STUDIES, MOST, SIZE = 3000, 40, 0.069


def open_rounds(folder: Path, more: str = "", until: str = "{width: 0.1}") -> LoadedStudy:
    return loaded(folder, (FIXED, f"design: {{rounds: 14, until: {until}{more}}}"))


def speeds(spread: float, rounds: int = 14) -> dict[str, float]:
    """Arms of one speed; the static cache's rounds scatter."""
    return {
        f"{arm}/{number}": 100.0 * math.exp((-1) ** number * spread * (arm == "cache=static"))
        for arm in ("cache=none", "cache=dynamic", "cache=static")
        for number in range(1, rounds + 1)
    }


def finished(study: LoadedStudy, spread: float, *, rounds: int) -> dict[str, StoredResult]:
    values = speeds(spread)
    trials = [spec for trials in longest_plan(study).rounds for spec in trials if spec.round <= rounds]
    return results(trials, lambda spec: values[f"{spec.arm}/{spec.round}"], SPEED)


def test_ten_rounds_are_run_in_any_case_and_then_as_many_as_the_widest_interval_needs(tmp_path: Path) -> None:
    study = open_rounds(tmp_path)
    assert rounds_wanted(study, {}) == len(plan(study).rounds) == 10
    assert rounds_wanted(study, finished(study, 0.01, rounds=9)) == 10
    assert rounds_wanted(study, finished(study, 0.01, rounds=10)) == 10
    assert rounds_wanted(study, finished(study, 0.3, rounds=10)) == 11
    assert rounds_wanted(study, finished(study, 0.3, rounds=13)) == 14
    assert rounds_wanted(study, finished(study, 0.3, rounds=14)) == 14
    assert len(longest_plan(study).rounds) == 14
    assert resolve(study, finished(study, 0.3, rounds=12)).study.design.rounds == 13


def test_more_results_only_lengthen_a_plan(tmp_path: Path) -> None:
    study = open_rounds(tmp_path)
    plans = [plan(study, finished(study, 0.3, rounds=rounds)).known for rounds in range(15)]
    assert [len(known) for known in plans] == [len(plans[0])] * 10 + [
        len(plans[0]) + n for n in (1, 2, 3, 4, 4)
    ]
    assert all(later[: len(earlier)] == earlier for earlier, later in pairwise(plans))


@pytest.mark.parametrize("value", [None, math.nan, 0.0, -1.0])
def test_no_round_is_added_to_one_that_is_not_whole(tmp_path: Path, value: float | None) -> None:
    study = open_rounds(tmp_path)
    finished_trials = finished(study, 0.3, rounds=11)
    assert rounds_wanted(study, finished_trials) == 12

    def lost(spec: TrialSpec) -> bool:
        return (spec.arm, spec.round, spec.condition["new_tokens"]) == ("cache=dynamic", 4, "16")

    [spec] = [spec for trials in plan(study).rounds for spec in trials if lost(spec)]
    if value is None:
        del finished_trials[spec.id]
    else:
        finished_trials |= results([spec], lambda _: value, SPEED)
    assert rounds_wanted(study, finished_trials) == 10


def test_a_round_of_each_seed_is_a_pair(tmp_path: Path) -> None:
    """Twenty pairs after ten rounds of two seeds are narrow enough where ten are not."""
    one = open_rounds(tmp_path, until="{width: 0.35}")
    assert rounds_wanted(one, finished(one, 0.1, rounds=10)) == 10
    narrow = open_rounds(tmp_path, until="{width: 0.15}")
    assert rounds_wanted(narrow, finished(narrow, 0.1, rounds=10)) == 11
    two = open_rounds(tmp_path, ", seeds: 2", until="{width: 0.35}")
    finished_trials = finished(two, 0.1, rounds=10)
    assert rounds_wanted(two, finished_trials) == 10
    assert len([spec for trials in plan(two).rounds for spec in trials]) == len(finished_trials)


def test_the_rule_is_blind_to_the_effect() -> None:
    """Any constant ratio on top, huge or in the other direction, stops at the same round."""
    random = np.random.default_rng(5)
    for _ in range(20):
        noise = random.normal(0, 0.1, 40)
        ends = {
            last_round([[{0: effect + float(one)} for one in noise]], Until(width=0.1), most=40)
            for effect in (-2.0, 0.0, 0.05, 3.0)
        }
        assert len(ends) == 1


@pytest.mark.parametrize("sigma", [0.04, 0.06])
def test_of_equal_arms_hardly_more_than_one_in_twenty_studies_finds_a_difference(sigma: float) -> None:
    """A/A: the 95 % interval at the end excludes no difference in at most 69 of 1,000 studies; 0.06 is about
    the worst spread.
    """
    random, until = np.random.default_rng(11), Until(width=0.05)
    excluding, ends = 0, []
    for noise in random.normal(0, sigma, (STUDIES, MOST)):
        ends.append(last_round([[{0: float(one)} for one in noise]], until, most=MOST))
        excluding += signed_rank_interval(noise[: ends[-1]], level=0.95).excludes(0.0)
    assert excluding <= SIZE * STUDIES
    assert min(ends) == 10
    assert 10 < np.median(ends) < MOST, "the rule is what ends them"


def test_a_study_that_could_decide_only_with_all_its_rounds_is_refused(tmp_path: Path) -> None:
    """Sixty comparisons cannot be decided by ten rounds, and it may stop at ten."""
    patches = [("[8, 16, 32]", f"[{', '.join(map(str, range(2, 33)))}]")]
    with pytest.raises(StudyError, match="10 rounds are too few to decide 61 comparisons"):
        loaded(tmp_path, (FIXED, "design: {rounds: 40, until: {width: 0.1}}"), *patches)
    assert loaded(tmp_path, (FIXED, "design: {rounds: 40, until: {width: 0.1, at_least: 12}}"), *patches)


@pytest.mark.parametrize(
    ("until", "message"),
    [
        ("{width: 0.1, at_least: 9}", "must be at least 10, found 9"),
        ("{width: 0.1, at_least: 15}", "until.at_least is 15, but the study has at most 14 rounds"),
        ("{width: 0}", "must be greater than 0, found 0"),
        ("{width: 1.5}", "must be less than 1, found 1.5"),
        ("{at_least: 10}", "missing key 'width' in design.until"),
        ("{width: 0.1, p: 0.05}", "unknown key 'p' in design.until"),
    ],
)
def test_a_rule_that_is_none_is_refused(tmp_path: Path, until: str, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        open_rounds(tmp_path, until=until)
    assert message in str(caught.value)


def test_rounds_repeat_what_was_written_so_none_is_worth_adding() -> None:
    document = read_text("design:\n  rounds: 20\n  until: {width: 0.1}\n", file="s.yaml")
    written = written_study(design={"rounds": 20, "until": {"width": 0.1}})
    checker = StudyChecker(written.study, document, task_class("translate"))
    with pytest.raises(StudyError, match=r"gives the same bleu, so more rounds .*; use more sentences"):
        check_adaptive_design(checker, written)


def test_rounds_repeat_what_was_learned_so_none_is_worth_adding(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="every round of a seed gives the same validation_loss"):
        tuned_study(tmp_path, ("  seeds: 7", "  seeds: 7\n  rounds: 20\n  until: {width: 0.1}"))
