"""Rules decide by intervals, never by an estimate alone; a verdict can be computed again from what is kept
beside it.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.claims.bounds import Bound
from harness.analysis.claims.decision import Basis, Rule
from harness.analysis.claims.direction import Direction
from harness.analysis.claims.diverges import Discordant
from harness.analysis.claims.exponent import SlopeRegion
from harness.analysis.claims.most_sensitive import AmongMostSensitive
from harness.analysis.claims.no_difference import Same
from harness.analysis.claims.ratio import Region
from harness.analysis.claims.trend import Slope
from harness.analysis.claims.value import ValueBound
from harness.analysis.member import Member
from harness.statistics import paired_estimate

MARGIN = math.log(1.05)


def member(*values: float, **changes: Any) -> Member:
    given: dict[str, Any] = {"metric": "m", "arm": "a", "against": "b", "condition": {}}
    return Member(**given | changes, pairs=tuple(enumerate(values, start=1)))


def around(ratio: float, sd: float = 0.02, n: int = 10, seed: int = 0) -> list[float]:
    return [math.log(ratio) + float(noise) for noise in np.random.default_rng(seed).normal(0, sd, n)]


def verdict(rule: Rule, *members: Member, **changes: Any) -> str:
    return Basis(rule=rule, members=members, **changes).verdict


pairs_of_ten = st.lists(st.floats(-1.0, 1.0, width=32), min_size=10, max_size=10)


@settings(max_examples=200)
@given(values=pairs_of_ten, low=st.floats(-1.0, 0.9), width=st.floats(0.05, 1.0))
def test_the_intervals_decide(values: list[float], low: float, width: float) -> None:
    """Confirmed where the 90 % interval lies inside the region, refuted where the 95 % one lies outside, else
    open.
    """
    rule = Region(low=math.exp(low), high=math.exp(low + width))
    estimate = paired_estimate(dict(enumerate(values)))
    borders = [math.log(rule.low), math.log(rule.high)]
    near = min(
        abs(end - border)
        for ci in (estimate.ci90, estimate.ci95)
        for end in (ci.low, ci.high)
        for border in borders
    )
    if near < 1e-9:
        return  # rounding may put it on either side
    expected = "undecided"
    if borders[0] < estimate.ci90.low and estimate.ci90.high < borders[1]:
        expected = "confirmed"
    elif estimate.ci95.high < borders[0] or estimate.ci95.low > borders[1]:
        expected = "refuted"
    assert verdict(rule, member(*values)) == expected


@pytest.mark.parametrize(
    ("rule", "ratio", "sd", "expected"),
    [
        (Bound(side=1, ratio=1.5), 1.7, 0.02, "confirmed"),
        (Bound(side=1, ratio=1.5), 1.3, 0.02, "refuted"),
        (Bound(side=1, ratio=1.5), 1.5, 0.02, "undecided"),
        (Bound(side=-1, ratio=1.5), 1.7, 0.02, "refuted"),
        (Bound(side=-1, ratio=1.5), 1.3, 0.02, "confirmed"),
        (Direction(side=1, margin=MARGIN), 1.2, 0.02, "confirmed"),
        (Direction(side=-1, margin=MARGIN), 1.2, 0.02, "refuted"),
        (Direction(side=1, margin=MARGIN), 1.02, 0.005, "refuted"),  # real but negligible
        (Direction(side=-1, margin=MARGIN), 1.0, 0.005, "refuted"),  # equivalent
        (Direction(side=1, margin=MARGIN), 1.0, 0.3, "undecided"),
        (Same(margin=MARGIN), 1.0, 0.005, "confirmed"),
        (Same(margin=MARGIN), 1.2, 0.02, "refuted"),
        (Same(margin=MARGIN), 1.05, 0.02, "undecided"),
        (Same(margin=MARGIN), 1.0, 0.3, "undecided"),
        (Slope(side=1, margin=0.01), 1.2, 0.02, "confirmed"),
        (Slope(side=-1, margin=0.01), 1.2, 0.02, "refuted"),
        (Slope(side=1, margin=0.01), 1.001, 0.001, "refuted"),
    ],
)
def test_a_rule_on_one_arm(rule: Rule, ratio: float, sd: float, expected: str) -> None:
    assert verdict(rule, member(*around(ratio, sd))) == expected


def test_what_is_counted_needs_no_interval_and_reaches_its_bound() -> None:
    half = member(math.log(0.5), counted=True)
    assert verdict(Bound(side=-1, ratio=0.5), half) == "confirmed"
    assert verdict(Bound(side=1, ratio=0.5), half) == "confirmed"
    assert verdict(Bound(side=1, ratio=0.51), half) == "refuted"
    assert verdict(Region(low=0.4, high=0.6), half) == "confirmed"
    assert verdict(Same(margin=0.0), half) == "refuted"
    assert verdict(Same(margin=0.0), member(0.0, counted=True)) == "confirmed"
    nothing = member(-math.inf, counted=True)
    assert verdict(Direction(side=-1, margin=0.0), nothing) == "confirmed"


def test_identical_pairs_are_the_same_whatever_the_margin() -> None:
    equal = member(*[0.0] * 10)
    assert verdict(Same(margin=0.0), equal) == "confirmed"
    assert verdict(Direction(side=1, margin=0.0), equal) == "refuted"


def test_a_step_back_leaves_a_slope_open() -> None:
    back = tuple(enumerate(around(0.8)))
    assert verdict(Slope(side=1, margin=0.01), member(*around(1.2), steps=(back,))) == "undecided"


def test_fewer_than_six_pairs_decide_nothing() -> None:
    for rule in (Region(low=0.5, high=2.0), Bound(side=1, ratio=1.1), Direction(side=1, margin=MARGIN)):
        assert verdict(rule, member(*around(3.0, n=5))) == "undecided"


def test_a_miss_ranks_last_and_a_tie_says_nothing() -> None:
    rule = Direction(side=-1, margin=MARGIN)
    sooner = around(0.7, n=8)
    assert verdict(rule, member(*sooner)) == "confirmed"
    assert verdict(rule, member(*sooner[:-1], math.inf)) == "undecided", "the arm missed the target once"
    assert verdict(rule, member(*sooner[:-1], -math.inf)) == "confirmed", "the baseline did"


def test_of_all_arms_each_must_confirm() -> None:
    rule = Bound(side=1, ratio=1.5)
    fast, slow, vague = (member(*around(r, sd)) for r, sd in ((2.0, 0.02), (1.2, 0.02), (1.5, 0.02)))
    assert verdict(rule, fast, fast) == "confirmed"
    assert verdict(rule, fast, vague) == "undecided"
    assert verdict(rule, fast, slow) == "refuted"


def test_of_any_arm_one_is_enough_after_holm() -> None:
    rule = Bound(side=1, ratio=1.5)
    fast, slow, vague = (member(*around(r, sd)) for r, sd in ((2.0, 0.02), (1.2, 0.02), (1.5, 0.02)))
    assert verdict(rule, slow, fast, vague, needed="any") == "confirmed"
    assert verdict(rule, slow, vague, needed="any") == "undecided"
    assert verdict(rule, slow, slow, needed="any") == "refuted"
    six = member(*around(2.0, n=6))
    assert verdict(rule, six, needed="any") == "confirmed"
    assert verdict(rule, six, slow, needed="any") == "undecided", "six pairs reject in a family of one"
    slow_six = member(*around(1.2, n=6))
    assert verdict(rule, slow_six) == "refuted"
    assert verdict(rule, slow_six, vague) == "undecided", (
        "that one of several is refuted is corrected as well"
    )


def test_discordant_seeds() -> None:
    def outcome(arm_only: int, other_only: int, ties: int = 0) -> Member:
        return member(*[1.0] * arm_only, *[-1.0] * other_only, *[0.0] * ties)

    less = Discordant(side=-1)
    assert verdict(less, outcome(0, 6)) == "confirmed"  # p = 2 / 64
    assert verdict(less, outcome(0, 5)) == "undecided"  # p = 2 / 32
    assert verdict(less, outcome(6, 0, 4)) == "refuted"
    assert verdict(less, outcome(0, 0, 8)) == "undecided"


def factors(levels: dict[str, float], seeds: int = 10) -> tuple[Member, ...]:
    return tuple(
        member(*around(math.exp(rise), 0.01, seeds, seed), arm=name)
        for seed, (name, rise) in enumerate(levels.items())
    )


def test_among_the_most_sensitive() -> None:
    ranked = factors({"std": 0.5, "lr": 0.6, "init": 0.1, "warmup": 0.05, "decay": 0.0, "clip": 0.0})
    assert verdict(AmongMostSensitive(factor="std"), *ranked) == "confirmed"
    assert verdict(AmongMostSensitive(factor="decay"), *ranked) == "refuted"
    assert verdict(AmongMostSensitive(factor="init"), *ranked) == "refuted"  # two above it of ⌈6 / 3⌉
    close = factors(dict.fromkeys(("std", "lr", "init", "warmup", "decay"), 0.1))
    assert verdict(AmongMostSensitive(factor="std"), *close) == "undecided"


RULES: list[Rule] = [
    Region(low=0.9, high=1.3),
    Bound(side=1, ratio=1.5),
    Direction(side=-1, margin=MARGIN),
    Same(margin=MARGIN),
    Slope(side=1, margin=0.01),
    Discordant(side=-1),
    ValueBound(side=-1, bound=0.1),
    SlopeRegion(low=-0.1, high=0.2),
]


@settings(max_examples=60)
@given(
    rule=st.sampled_from(RULES),
    values=st.lists(
        st.lists(st.floats(-2.0, 2.0) | st.just(math.inf), min_size=6, max_size=6), min_size=1, max_size=3
    ),
    needed=st.sampled_from(["all", "any"]),
)
def test_a_verdict_comes_back_from_what_is_kept_beside_it(
    rule: Rule, values: list[list[float]], needed: Any
) -> None:
    basis = Basis(
        rule=rule,
        members=tuple(member(*row, steps=(tuple(enumerate(row)),)) for row in values),
        needed=needed,
    )
    again = Basis.read(json.loads(json.dumps(basis.plain())))
    assert again == basis
    assert (again.tests, again.member_tests, again.verdict) == (
        basis.tests,
        basis.member_tests,
        basis.verdict,
    )


def test_what_was_declared_open_stays_open() -> None:
    basis = Basis(rule=Bound(side=1, ratio=1.5), members=(member(*around(2.0)),), open="exploratory")
    assert basis.verdict == "undecided"
    assert Basis.read(basis.plain()).verdict == "undecided"


@pytest.mark.parametrize("pairs", [10, 1000, 1001])
def test_the_procedure_that_is_kept_says_whether_p_is_exact(pairs: int) -> None:
    procedure = "exact signed rank" if pairs <= 1000 else "signed rank by a saddlepoint approximation"
    factors = [member(*around(1.1, n=pairs), arm=name) for name in ("std", "lr", "decay", "init", "width")]
    assert Basis(rule=Region(low=1.0, high=1.2), members=(factors[0],)).plain()["procedure"] == procedure
    ranked = Basis(rule=AmongMostSensitive(factor="std"), members=tuple(factors))
    assert ranked.plain()["procedure"] == f"{procedure}, Holm over the other factors"
