"""Tuning: the same budget for each arm, on seeds of its own, and nothing that is measured has a say in what
is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.config import canonical_json
from harness.errors import StudyError
from harness.study.claims.reaches import ReachesClaim
from harness.study.loaded import Tried
from harness.study.planning.plan import plan
from harness.study.planning.resolved import is_open, resolve
from harness.study.planning.results import StoredResult
from harness.study.planning.tuning import best, tuned_arms, tuning_grid
from harness.study.seeds import FIRST_TUNING_SEED
from harness.study.tune import Around, Tune
from harness.trial.spec import TrialSpec
from tests.support.tiny_study import LOSS, lr, results, tuned_study

OPTIMA = {"clip=1.0": 1e-3, "clip=0.5": 1e-2, "clip=0.25": 1e-4, "clip=2.0": 1e-3}


def valley(spec: TrialSpec) -> float:
    """A loss with its optimum at the arm's own rate."""
    return 2.0 + abs(math.log10(lr(spec) / OPTIMA[spec.arm])) + 0.001 * (spec.seed % 7)


def test_every_arm_is_tried_with_the_same_values_on_seeds_that_nothing_else_uses(tmp_path: Path) -> None:
    planned = plan(tuned_study(tmp_path, ("1e-2]", "1e-2]\n    seeds: 2")))
    tried = {(spec.arm, lr(spec), spec.seed) for spec in planned.tuning}
    rates = (1e-4, 1e-3, 1e-2)
    assert tried == {
        (arm, rate, FIRST_TUNING_SEED + seed) for arm in OPTIMA for rate in rates for seed in (0, 1)
    }
    assert len(planned.tuning) == len(tried) == 24
    assert {(spec.purpose, spec.round) for spec in planned.tuning} == {("tune", 0)}
    measured = {spec.seed for trials in planned.rounds for spec in trials}
    assert max(measured) < FIRST_TUNING_SEED


def test_only_tuning_is_known_before_it_has_ended_and_then_each_arm_has_its_own_best(tmp_path: Path) -> None:
    loaded = tuned_study(tmp_path)
    before = plan(loaded)
    assert [batch.purpose for batch in before.known] == ["tune"]
    assert [batch.purpose for batch in before.later] == ["measure"] * 7
    outcome = results(before.tuning, valley)
    but_one = dict(list(outcome.items())[:-1])
    assert plan(loaded, but_one) == before
    assert is_open(resolve(loaded, but_one))
    after = plan(loaded, outcome)
    assert after.known[:1] == before.known
    assert after.later == ()
    assert {(spec.arm, lr(spec)) for trials in after.rounds for spec in trials} == set(OPTIMA.items())
    changed = {spec.id for trials in after.rounds for spec in trials} - {
        spec.id for trials in before.rounds for spec in trials
    }
    assert len(changed) == 2 * 7, "of the two arms whose own rate is not the best one"
    closed = resolve(loaded, outcome)
    assert not is_open(closed)
    assert {(arm.arm, arm.chosen.settings["optimizer.lr"], arm.edges) for arm in closed.tuned} == {
        ("clip=1.0", 1e-3, ()),
        ("clip=0.5", 1e-2, ("optimizer.lr",)),
        ("clip=0.25", 1e-4, ("optimizer.lr",)),
        ("clip=2.0", 1e-3, ()),
    }


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(28)), factor=st.floats(0.01, 100))
def test_what_is_chosen_does_not_depend_on_what_is_measured(
    tmp_path: Path, order: list[int], factor: float
) -> None:
    """Rates and targets never come from the data that decides: permuting it leaves them byte for byte as they
    are.
    """
    loaded = tuned_study(tmp_path)
    tuning = results(plan(loaded).tuning, valley)
    measured = [spec for trials in plan(loaded, tuning).rounds for spec in trials]
    losses = [valley(measured[index]) * factor for index in order]
    permuted = dict(zip((spec.id for spec in measured), losses, strict=True))
    seen = {**tuning, **results(measured, lambda spec: permuted[spec.id])}
    chosen = [resolve(loaded, known_results).tuned for known_results in (tuning, seen)]
    assert chosen[0] == chosen[1]
    task_texts = [
        canonical_json([task.plain() for task in resolve(loaded, known_results).tasks.values()])
        for known_results in (tuning, seen)
    ]
    assert task_texts[0] == task_texts[1]
    assert plan(loaded, seen) == plan(loaded, tuning)


def tried(**medians: float) -> list[Tried]:
    return [Tried(settings={"lr": float(name[1:]) / 10}, values=(value,)) for name, value in medians.items()]


def test_of_equal_medians_the_smallest_value_is_chosen_and_what_diverged_last() -> None:
    assert best(tried(_3=2.0, _1=2.0, _2=2.5), LOSS).settings == {"lr": 0.1}
    assert best(tried(_1=math.inf, _2=9.0), LOSS).settings == {"lr": 0.2}
    assert best(tried(_3=math.inf, _2=math.inf), LOSS).settings == {"lr": 0.2}
    assert best(tried(_1=5.0, _2=9.0), "training_tokens_per_second").settings == {"lr": 0.2}


def test_the_median_over_seeds_decides_and_a_seed_that_is_no_number_is_the_worst(tmp_path: Path) -> None:
    loaded = tuned_study(tmp_path, ("1e-2]", "1e-2]\n    seeds: 3"))
    tune = loaded.study.design.tune
    assert tune is not None
    values = {1e-4: (1.0, 1.0, 9.0), 1e-3: (2.0, 2.0, 2.0), 1e-2: (0.5, math.nan, math.inf)}
    outcome = results(plan(loaded).tuning, lambda spec: values[lr(spec)][spec.seed - FIRST_TUNING_SEED])
    [first, *_] = tuned_arms(loaded, tune, outcome)
    assert first.chosen.settings == {"optimizer.lr": 1e-4}
    assert [one.median for one in first.tried] == [1.0, 2.0, math.inf]
    unmeasured = {key: StoredResult(spec_id=key, session=1, diverged=True, values={}) for key in outcome}
    [first, *_] = tuned_arms(loaded, tune, unmeasured)
    assert (first.chosen.median, first.chosen.settings) == (math.inf, {"optimizer.lr": 1e-4})


def test_values_around_are_around_each_arms_own(tmp_path: Path) -> None:
    patches = ("clip: [1.0, 0.5, 0.25, 2.0]", "optimizer.lr: [1e-3, 1e-2]")
    grid = ("      optimizer.lr: [1e-4, 1e-3, 1e-2]", "      clip: {factor: 2, count: 3}")
    planned = plan(tuned_study(tmp_path, patches, grid))
    assert sorted({spec.config["clip"] for spec in planned.tuning}) == [0.5, 1.0, 2.0]
    task = next(iter(tuned_study(tmp_path).tasks.values()))
    around = Tune(
        grid={"optimizer.lr": Around(factor=3.0, count=5), "evaluate_every": Around(factor=2.0, count=3)}
    )
    settings_of: list[dict[str, Any]] = [dict(one.settings) for one in tuning_grid(around, task)]
    assert sorted({settings["optimizer.lr"] for settings in settings_of}) == [
        0.000111111,
        0.000333333,
        1e-3,
        3e-3,
        9e-3,
    ]
    assert sorted({settings["evaluate_every"] for settings in settings_of}) == [1, 2, 4]
    assert len(settings_of) == 15


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "optimizer.lr: [",
            "optimizer.rl: [",
            "arm clip=1.0: there is no setting 'optimizer.rl'; did you mean",
        ),
        ("1e-3, 1e-2]", "1e-3, 1e-3]", "arm clip=1.0: optimizer.lr would be tried twice with the same value"),
        ("1e-3, 1e-2]", "1e-3, -1.0]", "optimizer.lr=-1.0 cannot be used: Input should be greater than 0"),
        ("[1e-4, 1e-3, 1e-2]", "[1e-3]", "design.tune.grid.optimizer.lr"),
        ("[1e-4, 1e-3, 1e-2]", "{factor: 1, count: 3}", "must be greater than 1"),
        ("[1e-4, 1e-3, 1e-2]", "{factor: 3, counts: 3}", "unknown key 'counts'"),
        (
            "1e-2]",
            "1e-2]\n      corpus: {factor: 2, count: 3}",
            "values around it cannot be computed; list the values",
        ),
        ("      optimizer.lr", "      clip", "clip is a factor of the study, so it cannot be tuned"),
        (
            "1e-2]",
            "1e-2]\n    by: validation_los",
            "does not produce the metric 'validation_los'; did you mean",
        ),
        (
            "1e-2]",
            "1e-2]\n    by: gradient_norm",
            "neither higher nor lower values of gradient_norm are better",
        ),
        ("1e-2]", "1e-2]\n    finalists: 4", "all 4 arms would be finalists; remove `finalists`"),
        ("1e-2]", "1e-2]\n    seeds: 0", "must be greater than 0, found 0"),
    ],
)
def test_what_cannot_be_tuned_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(StudyError) as caught:
        tuned_study(tmp_path, (old, new))
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))


def test_settings_of_a_shared_training_are_not_tuned_where_it_is_only_loaded(tmp_path: Path) -> None:
    from tests.support.tiny_study import loaded

    tune = (
        "design: {seeds: 1, rounds: 10, tune: {grid: {model.train.optimizer.lr: [1e-3, 1e-2]}, "
        "by: decode_tokens_per_second}}"
    )
    with pytest.raises(StudyError, match="a setting of the model's training cannot be tuned here"):
        loaded(tmp_path, ("design: {seeds: 1, rounds: 10}", tune))


def test_finalists_are_the_baseline_and_the_best_others(tmp_path: Path) -> None:
    loaded = tuned_study(tmp_path, ("1e-2]", "1e-2]\n    finalists: 3"))
    worth = {"clip=1.0": 9.0, "clip=0.5": 3.0, "clip=0.25": 1.0, "clip=2.0": 2.0}
    outcome = results(plan(loaded).tuning, lambda spec: worth[spec.arm] + lr(spec))
    closed = resolve(loaded, outcome)
    assert [arm.name for arm in closed.arms] == ["clip=1.0", "clip=0.25", "clip=2.0"]
    assert closed.baseline is loaded.baseline
    assert {(arm.arm, arm.measured) for arm in closed.tuned} == {(arm, arm != "clip=0.5") for arm in worth}
    assert {spec.arm for trials in plan(loaded, outcome).rounds for spec in trials} == set(worth) - {
        "clip=0.5"
    }
    assert [len(trials) for trials in plan(loaded).rounds] == [3] * 7, "as many go on, whoever they are"


def test_an_arm_that_a_claim_names_is_a_finalist_whatever_tuning_finds(tmp_path: Path) -> None:
    claim = "\nclaims:\n  c: {source: x, says: y., level: {clip: 0.5}, ratio: 2.0}\n"
    few = ("1e-2]", "1e-2]\n    finalists: 2")
    loaded = tuned_study(tmp_path, few, ("primary: validation_loss\n", f"primary: validation_loss{claim}"))
    outcome = results(plan(loaded).tuning, lambda spec: 9.0 if spec.arm == "clip=0.5" else 1.0)
    assert [arm.name for arm in resolve(loaded, outcome).arms] == ["clip=1.0", "clip=0.5"]
    two = claim + "  d: {source: x, says: y., level: {clip: 2.0}, ratio: 2.0}\n"
    with pytest.raises(StudyError, match="the baseline and the arms that claims name are already 3 arms"):
        tuned_study(tmp_path, few, ("primary: validation_loss\n", f"primary: validation_loss{two}"))


def test_a_family_counts_the_finalists_alone(tmp_path: Path) -> None:
    """Six seeds can decide one comparison, never three."""
    with pytest.raises(StudyError, match="6 seeds are too few to decide 2 comparisons"):
        tuned_study(tmp_path, ("1e-2]", "1e-2]\n    finalists: 3"), ("seeds: 7", "seeds: 6"))
    assert tuned_study(tmp_path, ("1e-2]", "1e-2]\n    finalists: 2"), ("seeds: 7", "seeds: 6"))


def valley_times(factor: float) -> Callable[[TrialSpec], float]:
    return lambda spec: factor * valley(spec)


TARGET = (
    "claims:\n  c: {source: x, says: y., level: {clip: 0.5}, reaches: tuned, metric: validation_loss, "
    "smoothed: 1}\n"
)
END = "primary: validation_loss\n"


def test_a_target_is_what_the_baseline_came_to_in_tuning_and_no_measurement_moves_it(tmp_path: Path) -> None:
    loaded = tuned_study(tmp_path, (END, END + TARGET))
    tuning = results(plan(loaded).tuning, valley)
    measured = [spec for trials in plan(loaded, tuning).rounds for spec in trials]
    for factor in (0.1, 1.0, 50.0):
        seen = {**tuning, **results(measured, valley_times(factor))}
        claim = resolve(loaded, seen).study.claims["c"]
        assert isinstance(claim, ReachesClaim)
        assert claim.target == 2.0 + 0.001 * (FIRST_TUNING_SEED % 7)
    before = loaded.study.claims["c"]
    assert isinstance(before, ReachesClaim)
    assert math.isnan(before.target)
    never = resolve(loaded, results(plan(loaded).tuning, lambda _: math.inf)).study.claims["c"]
    assert never == before, "a baseline that diverged has no target to give"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "metric: validation_loss, smoothed",
            "smoothed",
            "c takes its target for loss from tuning, but tuning uses validation_loss",
        ),
        ("reaches: tuned", "reaches: tune", "claims.c.reaches"),
    ],
)
def test_a_target_that_tuning_cannot_give_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(StudyError) as caught:
        tuned_study(tmp_path, (END, END + TARGET.replace(old, new)))
    assert message in str(caught.value)
