"""Which benchmarks regressed: a decision about all of them together, from pairs of one round each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harness.analysis.results import ALPHA
from harness.statistics import holm, holm_levels, safe_exp, smallest_reachable_p
from harness.statistics.signed_rank import hodges_lehmann, signed_rank_interval, signed_rank_p_above

MARGIN = 0.05
OPEN = "a slow-down beyond the margin is neither shown nor excluded"

BenchmarkState = Literal["regressed", "within", "undecided", "invalid", "vanished", "changed", "new"]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A benchmark in both versions: ln(tree ÷ baseline) of each round, or why there is none."""

    pairs: tuple[float, ...]
    margin: float = MARGIN
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class BenchmarkFinding:
    """What the gate says about one benchmark. `ratio` is its time, divided by that of the baseline. `low` and
    `high` bound it, at the level of Holm's procedure if the times are in pairs. `rounds` counts the pairs, or
    the figures of the version that has fewer; it is 0 if nothing was compared.
    """

    name: str
    state: BenchmarkState
    ratio: float = math.nan
    low: float = math.nan
    high: float = math.nan
    margin: float = MARGIN
    rounds: int = 0
    reason: str = ""


def decide(
    measured: Mapping[str, Measured], among: Sequence[str] | None = None
) -> dict[str, BenchmarkFinding]:
    """The finding for every benchmark.

    It regressed if its interval lies wholly beyond its margin, at the level that Holm's procedure over all
    benchmarks gives it: signed-rank tests of "the centre of the log ratios is at most ln(1 + margin)" (Holm
    1979). It is `within` if the upper end of its own 90 % interval is below the margin; that all of them are
    needs no correction (Berger 1982, intersection-union). With `among`, only these benchmarks are tested.
    """
    chosen = [name for name in measured if among is None or name in among]
    usable = [name for name in chosen if not measured[name].problem and measured[name].pairs]
    p_values = {
        name: signed_rank_p_above(_beyond(measured[name])) if len(measured[name].pairs) > 1 else 1.0
        for name in usable
    }
    levels, adjusted = holm_levels(p_values, alpha=ALPHA), holm(p_values)
    findings = {}
    for name in chosen:
        one = measured[name]
        if name not in p_values:
            reason = one.problem or "it was not measured in both versions"
            findings[name] = BenchmarkFinding(name=name, state="invalid", margin=one.margin, reason=reason)
        else:
            findings[name] = _finding(name, one, levels[name], adjusted[name])
    return findings


def confirmed(second: BenchmarkFinding) -> BenchmarkFinding:
    """What is left of a regression after the second measurement."""
    if second.state == "regressed":
        return second
    return replace(second, state="undecided", reason="it regressed in the first measurement only")


def not_compared(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[BenchmarkFinding]:
    """The findings for benchmarks that cannot be compared, from the digests of the code of all benchmarks of
    the baseline and of the tree, by their names.
    """
    for name in sorted(before.keys() | now.keys()):
        if name not in before:
            yield BenchmarkFinding(name=name, state="new", reason="the baseline does not have it")
        elif name not in now:
            yield BenchmarkFinding(name=name, state="vanished", reason="only the baseline has it")
        elif before[name] != now[name]:
            reason = "its code changed, so the times are those of different work"
            yield BenchmarkFinding(name=name, state="changed", reason=reason)


def rounds_needed(benchmarks: int) -> int:
    """The smallest number of rounds with which Holm's procedure can find a regression in one of them."""
    rounds = 6
    while benchmarks * smallest_reachable_p(rounds) > ALPHA:
        rounds += 1
    return rounds


def _finding(name: str, one: Measured, level: float, adjusted: float) -> BenchmarkFinding:
    logs = np.asarray(one.pairs)
    interval = signed_rank_interval(logs, level=1 - level)
    above = signed_rank_interval(logs, level=1 - 2 * ALPHA).high
    state: BenchmarkState = "undecided"
    if adjusted <= ALPHA:
        state = "regressed"
    elif above < math.log1p(one.margin):
        state = "within"
    return BenchmarkFinding(
        name=name,
        state=state,
        ratio=safe_exp(hodges_lehmann(logs)),
        low=safe_exp(interval.low),
        high=safe_exp(interval.high),
        margin=one.margin,
        rounds=len(logs),
        reason="" if state != "undecided" else OPEN,
    )


def _beyond(one: Measured) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(one.pairs, dtype=np.float64) - math.log1p(one.margin)
