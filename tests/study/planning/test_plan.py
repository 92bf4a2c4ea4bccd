"""Plans: complete, in an order that is random but fixed, and sharing what can be shared."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import Plan, plan
from tests.support.tiny_study import loaded

ALL_ROUNDS = "design: {seeds: 1, rounds: 10}"
TWO_ARMS = ("dynamic, static]", "dynamic]")


def design(text: str) -> tuple[str, str]:
    return ALL_ROUNDS, f"design: {text}"


def cells(planned: Plan) -> list[list[tuple[str, tuple[str, ...], int]]]:
    return [[(t.arm, tuple(t.condition.values()), t.seed) for t in trials] for trials in planned.rounds]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rounds=st.integers(1, 7), seeds=st.integers(1, 3), levels=st.integers(2, 4), order_seed=st.integers(-5, 5)
)
def test_every_cell_is_measured_once_a_round_of_each_seed(
    tmp_path: Path, rounds: int, seeds: int, levels: int, order_seed: int
) -> None:
    study = loaded(
        tmp_path,
        ("dynamic, static]", ", ".join(("dynamic", "static", "doubling")[: levels - 1]) + "]"),
        design(f"{{seeds: {seeds}, rounds: {rounds}, order_seed: {order_seed}, exploratory: true}}"),
    )
    planned = plan(study)
    everything = {
        (arm.name, (condition.names["new_tokens"],), seed)
        for arm in study.arms
        for condition in study.conditions
        for seed in range(seeds)
    }
    assert [Counter(trials) for trials in cells(planned)] == [
        Counter(cell for cell in everything if cell[2] == seed)
        for _ in range(rounds)
        for seed in range(seeds)
    ]
    assert [{(t.round, t.seed) for t in trials} for trials in planned.rounds] == [
        {(number, seed)} for number in range(1, rounds + 1) for seed in range(seeds)
    ]
    assert len({trial.id for trial in planned.trials}) == len(planned.trials)
    first = Counter(
        (condition, arm) for trials in cells(planned) for arm, condition, _ in trials[:: len(study.arms)]
    )
    turns = [first[condition, arm] for arm, condition, _ in everything]
    assert max(turns) - min(turns) <= 2, "under each condition each arm goes first about equally often"
    firsts = Counter(arm for trials in cells(planned) for arm, *_ in trials[:: len(study.arms)])
    over_all = [firsts[arm.name] for arm in study.arms]
    assert max(over_all) - min(over_all) <= 1, "each arm goes first equally often"


def test_arms_of_a_condition_run_one_after_the_other(tmp_path: Path) -> None:
    planned = plan(loaded(tmp_path, design("{seeds: 2, rounds: 10}")))
    for trials in cells(planned):
        groups = [trials[start : start + 3] for start in range(0, len(trials), 3)]
        assert all(len({(where, seed) for _, where, seed in group}) == 1 for group in groups)


def test_the_order_differs_between_rounds_and_is_the_same_for_the_same_study(tmp_path: Path) -> None:
    first, again = (plan(loaded(tmp_path)) for _ in range(2))
    assert first == again
    orders = [tuple(trials) for trials in cells(first)]
    assert len(set(orders)) == len(orders) == 10


def test_of_two_arms_each_goes_first_in_half_of_the_rounds(tmp_path: Path) -> None:
    planned = plan(loaded(tmp_path, TWO_ARMS))
    for where in ("8", "16", "32"):
        firsts = Counter(next(arm for arm, (at,), _ in trials if at == where) for trials in cells(planned))
        assert firsts == {"cache=none": 5, "cache=dynamic": 5}


def test_eight_seeds_in_one_round_are_eight_rounds_of_a_seed_in_turn(tmp_path: Path) -> None:
    """Each whole in itself, so that an interruption costs one seed; of two arms each goes first for half of
    the seeds.
    """
    planned = plan(loaded(tmp_path, TWO_ARMS, design("{seeds: 8, rounds: 1}")))
    assert [{(t.seed, t.round) for t in trials} for trials in planned.rounds] == [{(n, 1)} for n in range(8)]
    for where in ("8", "16", "32"):
        firsts = Counter(next(arm for arm, (at,), _ in trials if at == where) for trials in cells(planned))
        assert firsts == {"cache=none": 4, "cache=dynamic": 4}


def test_more_rounds_leave_the_order_of_the_first_ones(tmp_path: Path) -> None:
    ten, twelve = (plan(loaded(tmp_path, design(f"{{rounds: {rounds}}}"))) for rounds in (10, 12))
    assert twelve.rounds[:10] == ten.rounds


def test_another_order_seed_changes_the_order_and_nothing_else(tmp_path: Path) -> None:
    """Lead-ins follow from the order."""
    one, two = (
        plan(loaded(tmp_path, design(f"{{seeds: 1, rounds: 10, order_seed: {seed}}}"))) for seed in (1, 2)
    )
    assert cells(one) != cells(two)
    measured_one, measured_two = (
        Counter(trial.id for trials in planned.rounds for trial in trials) for planned in (one, two)
    )
    assert measured_one == measured_two
    assert (one.trainings, one.checks) == (two.trainings, two.checks)
    assert len(one.lead_ins) == len(two.lead_ins) == 10


def test_one_training_a_recipe_and_seed_however_many_arms_share_it(tmp_path: Path) -> None:
    shared = plan(loaded(tmp_path, design("{seeds: 3, rounds: 10}")))
    assert [(t.seed, t.task, t.round) for t in shared.trainings] == [
        (0, "train", 0),
        (1, "train", 0),
        (2, "train", 0),
    ]
    longer = ("dynamic, static]", "dynamic, long: {model.train.updates: 8}]")
    declared = ("primary: ", "parity: {differ: [training_tokens, updates]}\nprimary: ")
    varied = plan(loaded(tmp_path, longer, declared))
    assert [t.config["updates"] for t in varied.trainings] == [4, 8]


def test_one_check_an_arm_and_invariant_on_the_configs_of_all_conditions(tmp_path: Path) -> None:
    study = loaded(tmp_path)
    checks = plan(study).checks
    assert Counter((t.task, t.arm) for t in checks) == Counter(
        (invariant, arm.name) for invariant in ("cache-parity", "cache-bytes") for arm in study.arms
    )
    assert [[c["new_tokens"] for c in t.config["configs"]] for t in checks] == [[8, 16, 32]] * len(checks)


def test_trainings_come_before_checks_and_checks_before_rounds_that_lead_ins_open(tmp_path: Path) -> None:
    purposes = [trial.purpose for trial in plan(loaded(tmp_path)).trials]
    a_round = ["lead-in", *["measure"] * 9]
    assert purposes == ["train", *["check"] * 6, *a_round * 10]


def test_factors_are_crossed_where_varied_and_changed_one_by_one_where_compared(tmp_path: Path) -> None:
    study: LoadedStudy = loaded(
        tmp_path,
        ("  cache: [none, dynamic, static]", "  cache: [none, static]\n  prompts.tokens: [8, 4]"),
        ("invariants: [", "parity: {differ: [prompt_tokens, prompts]}\ninvariants: ["),
        ("  new_tokens: [8, 16, 32]", "  new_tokens: [8, 16, 32]\n  prompts.count: [1, 2]"),
        ("at: {new_tokens: 32}", "at: {new_tokens: 32, prompts.count: 2}"),
        ("    level: {cache: dynamic}", "    level: {cache: static}"),
        (
            "here, says: The gain grows., level: {cache: dynamic}",
            "here, says: The gain grows., level: {cache: static}",
        ),
        ("across: {new_tokens: [8, 32]}", "across: {prompts.count: [1, 2]}"),
    )
    assert [arm.name for arm in study.arms] == [
        "cache=none, prompts.tokens=8",
        "cache=static, prompts.tokens=8",
        "cache=none, prompts.tokens=4",
    ]
    assert len(study.conditions) == 6
    sizes = {
        (c["new_tokens"], c["prompts"]["count"]) for c in (task.plain() for task in study.tasks.values())
    }
    assert sizes == {(tokens, count) for tokens in (8, 16, 32) for count in (1, 2)}


@pytest.mark.parametrize("scale", ["cpu", "smoke"])
def test_a_scale_is_the_body_with_its_overlay(tmp_path: Path, scale: str) -> None:
    study = loaded(tmp_path, scale=scale)
    assert len(plan(study).rounds) == {"cpu": 10, "smoke": 2}[scale]
    assert [c.names["new_tokens"] for c in study.conditions] == {
        "cpu": ["8", "16", "32"],
        "smoke": ["8", "32"],
    }[scale]
    assert study.study.design.seeds == 1
