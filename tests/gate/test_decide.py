"""The decision: Holm's procedure over exact signed-rank tests, beside a plain reference and by simulation."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np
import pytest
from scipy import stats

from harness.gate.decide import (
    BenchmarkFinding,
    Measured,
    confirmed,
    decide,
    not_compared,
    rounds_needed,
)

ALPHA, MARGIN = 0.05, 0.05


def measured(logs: Iterable[float], margin: float = MARGIN) -> Measured:
    return Measured(pairs=tuple(float(one) for one in logs), margin=margin)


def reference(logs: dict[str, np.ndarray], margin: float) -> set[str]:
    """What regressed: scipy's exact two-sided test of the shifted logarithms, and Holm's steps by hand."""
    p_values = {}
    for name, values in logs.items():
        shifted = values - math.log1p(margin)
        above = stats.wilcoxon(shifted, alternative="greater", method="exact").pvalue
        below = stats.wilcoxon(shifted, alternative="less", method="exact").pvalue
        p_values[name] = min(1.0, 2 * above) if above < below else 1.0
    red: set[str] = set()
    for step, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        if p_values[name] > ALPHA / (len(p_values) - step) * (1 + 1e-12):
            break
        red.add(name)
    return red


@pytest.mark.parametrize("seed", range(40))
def test_the_decision_is_that_of_the_reference(seed: int) -> None:
    random = np.random.default_rng(seed)
    rounds, benchmarks = int(random.integers(7, 16)), int(random.integers(1, 5))
    logs = {
        f"b{number}": random.normal(random.choice([0.0, 0.05, 0.08, 0.1]), 0.02, rounds)
        for number in range(benchmarks)
    }
    findings = decide({name: measured(values) for name, values in logs.items()})
    red = {name for name, one in findings.items() if one.state == "regressed"}
    assert red == reference(logs, MARGIN)
    for name, one in findings.items():
        walsh = [(a + b) / 2 for a, b in itertools.combinations_with_replacement(logs[name], 2)]
        assert one.ratio == pytest.approx(math.exp(np.median(walsh)))
        assert (one.state == "regressed") is (one.low > 1 + MARGIN), "the interval says the same"
        upper = stats.wilcoxon(logs[name] - math.log1p(MARGIN), alternative="less", method="exact").pvalue
        assert (one.state == "within") is bool(upper <= ALPHA and one.state != "regressed")


def test_equal_times_are_within() -> None:
    one = decide({"a": measured([0.0] * 8)})["a"]
    assert (one.state, one.ratio, one.low, one.high, one.reason) == ("within", 1.0, 1.0, 1.0, "")


def test_a_slow_down_of_exactly_the_margin_is_no_regression() -> None:
    assert decide({"a": measured([math.log1p(MARGIN)] * 12)})["a"].state == "undecided"


def test_a_gain_is_within() -> None:
    assert decide({"a": measured([-0.5] * 8)})["a"].state == "within"


def test_a_margin_belongs_to_its_benchmark() -> None:
    logs = [0.1 + 0.001 * number for number in range(10)]
    findings = decide({"a": measured(logs), "b": measured(logs, margin=0.2)})
    assert {name: (one.state, one.margin) for name, one in findings.items()} == {
        "a": ("regressed", 0.05),
        "b": ("within", 0.2),
    }


def test_many_others_make_the_level_of_one_stricter() -> None:
    slower = measured([0.1 + 0.001 * number for number in range(6)])  # p = 2 / 2^6 = 0.031
    assert decide({"a": slower})["a"].state == "regressed"
    others = {f"b{number}": measured([0.0] * 6) for number in range(3)}
    assert decide({"a": slower, **others})["a"].state == "undecided"
    assert decide({"a": slower, **others}, among=["a"])["a"].state == "regressed"


def test_only_the_chosen_are_judged() -> None:
    assert set(decide({"a": measured([0.0] * 6), "b": measured([0.0] * 6)}, among=["b"])) == {"b"}


@pytest.mark.parametrize(
    ("one", "state"),
    [
        (Measured(pairs=()), "invalid"),
        (Measured(pairs=(), problem="NaN"), "invalid"),
        (Measured(pairs=(0.1,) * 8, problem="an arm failed"), "invalid"),
        (Measured(pairs=(0.1,)), "undecided"),
        (Measured(pairs=(0.1, 0.1)), "undecided"),
        (Measured(pairs=(math.inf,) * 8), "regressed"),
    ],
)
def test_what_is_missing_never_passes(one: Measured, state: str) -> None:
    found_state = decide({"a": one})["a"]
    assert found_state.state == state
    assert found_state.reason or state == "regressed"


def test_the_rounds_that_are_needed_are_the_fewest_that_can_be_red() -> None:
    for benchmarks in (1, 2, 3, 10, 60):
        rounds = rounds_needed(benchmarks)
        others = {f"b{number}": measured([0.0] * rounds) for number in range(benchmarks - 1)}
        slower = measured([0.2 + 0.001 * number for number in range(rounds)])
        assert decide({"a": slower, **others})["a"].state == "regressed"
        shorter = {name: measured(one.pairs[:-1]) for name, one in {"a": slower, **others}.items()}
        assert rounds == 6 or decide(shorter)["a"].state != "regressed"


def test_false_alarms_and_hits_in_simulated_gates() -> None:
    """Four benchmarks with a scatter of 3 % in ten rounds: a version against itself, one whose benchmarks are
    all slower by exactly the margin, and one of them slower by 10 %.
    """
    random = np.random.default_rng(5)

    def red(shift: float, gates: int, planted: int) -> int:
        count = 0
        for _ in range(gates):
            logs = {
                f"b{number}": measured(
                    random.standard_t(4, 10) * 0.02 + (math.log1p(shift) if number < planted else 0)
                )
                for number in range(4)
            }
            count += any(one.state == "regressed" for one in decide(logs).values())
        return count

    assert red(0.0, 200, planted=4) == 0
    assert red(MARGIN, 200, planted=4) <= 200 * 0.025 + 3 * math.sqrt(200 * 0.025)
    assert red(0.1, 50, planted=1) >= 40


def test_a_regression_must_hold_twice() -> None:
    red = BenchmarkFinding(name="a", state="regressed", ratio=1.1)
    assert confirmed(red) == red
    for state in ("within", "undecided", "invalid"):
        second = confirmed(BenchmarkFinding(name="a", state=state, ratio=1.0))
        assert (second.state, second.reason) == ("undecided", "it regressed in the first measurement only")


def test_what_cannot_be_compared() -> None:
    before, now = {"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "1"}
    assert {one.name: one.state for one in not_compared(before, now)} == {
        "b": "changed",
        "c": "vanished",
        "d": "new",
    }
