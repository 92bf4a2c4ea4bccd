"""The worst of the findings decides."""

from __future__ import annotations

import itertools
import json
import math

import pytest

from harness.gate.decide import BenchmarkFinding, BenchmarkState
from harness.gate.result import GateResult, result_of


def finding(state: BenchmarkState, name: str = "", *, rounds: int = 8) -> BenchmarkFinding:
    return BenchmarkFinding(name=name or state, state=state, rounds=rounds)


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        (["within", "new"], "passed"),
        (["within", "undecided"], "undecided"),
        (["within", "changed"], "undecided"),
        (["undecided", "invalid"], "invalid"),
        (["regressed", "invalid", "undecided"], "regressed"),
        (["vanished", "new", "invalid"], "regressed"),
        (["new", "new"], "passed"),
        ([], "invalid"),
    ],
)
def test_the_worst_decides_in_every_order(states: list[BenchmarkState], verdict: str) -> None:
    for order in itertools.permutations(states):
        result = result_of([finding(state, str(number)) for number, state in enumerate(order)])
        assert result.verdict == verdict


def test_the_reason_names_the_first_and_counts_the_others() -> None:
    result = result_of([finding("regressed", "a"), finding("within", "b"), finding("vanished", "c")])
    assert result.reason == "a and 1 more regressed or vanished"
    assert result_of([finding("within")]).reason == "no benchmark regressed"
    assert "all benchmarks are new" in result_of([finding("new")]).reason


def test_a_problem_makes_invalid_what_was_measured() -> None:
    findings = [finding("regressed", "a"), finding("vanished", "b", rounds=0), finding("new", "c", rounds=0)]
    result = result_of(findings, "noise")
    assert (result.verdict, result.reason) == ("invalid", "noise")
    assert [one.state for one in result.findings] == ["invalid", "vanished", "new"]


def test_a_result_is_read_back_as_it_was_written() -> None:
    result = GateResult(
        verdict="undecided",
        reason="why",
        findings=(BenchmarkFinding(name="é", state="undecided", ratio=1.0, low=-math.inf, high=math.inf),),
        warnings=("one",),
        study="gate_1",
    )
    assert GateResult.read(json.loads(json.dumps(result.plain()))) == result
