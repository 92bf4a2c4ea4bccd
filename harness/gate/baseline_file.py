"""A baseline in a file: the figures of an earlier tree on the same machine, as pytest-benchmark writes them.

Two versions that alternate on one machine can be compared in pairs. A file was measured at another time, so
its figures are compared without pairs, and only if a loop that no version contains takes the same time now.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from harness.analysis.results import ALPHA
from harness.errors import InputError, Location
from harness.gate.benchmarks import is_number, read_benchmarks
from harness.gate.decide import MARGIN, OPEN, BenchmarkFinding, BenchmarkState, not_compared
from harness.gate.files import write_file
from harness.statistics import holm, safe_exp

KEY = "harness_gate"
"""The key of the file with what pytest-benchmark does not know."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The seconds of each benchmark, one figure per process, those of the control loop, and the digest of the
    machine with its software. `code` has a digest of the code of each benchmark, and `margins` those margins
    that benchmarks state.
    """

    machine: str
    control: tuple[float, ...]
    benchmarks: Mapping[str, tuple[float, ...]]
    code: Mapping[str, str]
    margins: Mapping[str, float] = field(default_factory=dict)


def write_figures(file: Path, figures: Figures) -> None:
    """Write a file that pytest-benchmark and `harness gate --baseline` can read. Replaces the file, or leaves
    it as it was and raises InputError.
    """
    ours = {"machine": figures.machine, "control": list(figures.control), "code": dict(figures.code)}
    document = {
        "machine_info": {},
        "commit_info": {},
        "benchmarks": [_row(name, seconds) for name, seconds in figures.benchmarks.items()],
        "datetime": datetime.now(UTC).isoformat(),
        "version": "harness gate",
        KEY: ours,
    }
    write_file(file, json.dumps(document, indent=1) + "\n")


def read_figures(file: Path) -> Figures:
    """Raises InputError if the file was not written by `harness gate --save`."""
    at, known = Location(str(file)), read_benchmarks(file)
    document = json.loads(file.read_text(encoding="utf-8"))
    ours = document.get(KEY)
    if not isinstance(ours, Mapping) or not isinstance(ours.get("machine"), str):
        raise InputError(
            "the file does not say on which machine it was measured", at=at, hint="`harness gate --save` does"
        )
    data = {one["fullname"]: _data(one) for one in document["benchmarks"]}
    for name, values in (*data.items(), ("the control loop", ours.get("control"))):
        if not _are_times(values) or (name in known and known[name].problem):
            raise InputError(f"the figures of {name} are no times", at=at)
    code = ours.get("code")
    if not isinstance(code, Mapping) or code.keys() != data.keys():
        raise InputError("the file does not have the digest of the code of every benchmark", at=at)
    return Figures(
        machine=ours["machine"],
        control=tuple(ours["control"]),
        benchmarks={name: tuple(values) for name, values in data.items()},
        code={name: str(made) for name, made in code.items()},
    )


def compare_figures(
    before: Figures, now: Figures, among: Sequence[str] | None = None
) -> tuple[tuple[BenchmarkFinding, ...], str]:
    """The finding for every benchmark, and why nothing can be decided; that is empty if something can.

    Two-sided rank-sum tests of the shift of the logarithms (Mann & Whitney 1947) at 5 %, with Holm's
    correction. With `among`, only these benchmarks are compared.
    """
    if before.machine != now.machine:
        return (), "the baseline was measured on another machine or with other software"
    slower, faster = _shift(before.control, now.control, MARGIN), _shift(now.control, before.control, MARGIN)
    if min(slower.p_beyond, faster.p_beyond) <= ALPHA:
        took = f"{safe_exp(slower.centre):.3g} × the time that it took for the baseline"
        return (), f"the control loop, which no version contains, takes {took}"
    others = list(not_compared(before.code, now.code))
    skipped = {one.name for one in others}
    shifts = {
        name: _shift(before.benchmarks[name], seconds, now.margins.get(name, MARGIN))
        for name, seconds in now.benchmarks.items()
        if name not in skipped and (among is None or name in among)
    }
    adjusted = holm({name: shift.p_beyond for name, shift in shifts.items()})
    findings = [_finding(name, shift, adjusted[name]) for name, shift in shifts.items()]
    return tuple(findings if among is not None else [*findings, *others]), ""


class _Shift(NamedTuple):
    """How far the logarithms of the second sample lie above those of the first: the Hodges-Lehmann estimate
    with a 95 % interval (normal approximation), two-sided p of "not beyond the margin", and one-sided p of
    "not within it".
    """

    centre: float
    low: float
    high: float
    p_beyond: float
    p_within: float
    margin: float
    size: int


def _shift(before: Sequence[float], now: Sequence[float], margin: float) -> _Shift:
    first, second = np.log(np.asarray(before)), np.log(np.asarray(now))
    differences = np.sort(np.subtract.outer(second, first).ravel())
    sizes = len(first), len(second)
    spread = math.sqrt(sizes[0] * sizes[1] * (sum(sizes) + 1) / 12)
    rank = max(0, math.floor(len(differences) / 2 - stats.norm.ppf(1 - ALPHA / 2) * spread))
    moved = second - math.log1p(margin)
    return _Shift(
        centre=float(np.median(differences)),
        low=float(differences[rank]),
        high=float(differences[-1 - rank]),
        p_beyond=min(1.0, 2 * float(stats.mannwhitneyu(moved, first, alternative="greater").pvalue)),
        p_within=float(stats.mannwhitneyu(moved, first, alternative="less").pvalue),
        margin=margin,
        size=min(sizes),
    )


def _finding(name: str, shift: _Shift, adjusted: float) -> BenchmarkFinding:
    state: BenchmarkState = "undecided"
    if adjusted <= ALPHA:
        state = "regressed"
    elif shift.p_within <= ALPHA:
        state = "within"
    return BenchmarkFinding(
        name=name,
        state=state,
        ratio=safe_exp(shift.centre),
        low=safe_exp(shift.low),
        high=safe_exp(shift.high),
        margin=shift.margin,
        rounds=shift.size,
        reason="" if state != "undecided" else OPEN,
    )


def _row(name: str, seconds: Sequence[float]) -> dict[str, Any]:
    """A benchmark with all that `pytest-benchmark compare` reads."""
    low, median, high = (float(one) for one in np.quantile(seconds, [0.25, 0.5, 0.75]))
    mean, deviation = float(np.mean(seconds)), float(np.std(seconds, ddof=1))
    return {
        "group": None,
        "name": _short(name),
        "fullname": name,
        "params": None,
        "param": None,
        "extra_info": {},
        "options": {},
        "stats": {
            "min": min(seconds),
            "max": max(seconds),
            "mean": mean,
            "stddev": deviation,
            "rounds": len(seconds),
            "median": median,
            "iqr": high - low,
            "q1": low,
            "q3": high,
            "iqr_outliers": 0,
            "stddev_outliers": 0,
            "outliers": "0;0",
            "ld15iqr": min(seconds),
            "hd15iqr": max(seconds),
            "ops": 1 / mean,
            "total": sum(seconds),
            "data": list(seconds),
            "iterations": 1,
        },
    }


def _short(name: str) -> str:
    """`test_a[b::c]` of `folder/test_x.py::Group::test_a[b::c]`."""
    path, bracket, parameters = name.partition("[")
    return path.rpartition("::")[2] + bracket + parameters


def _data(one: Mapping[str, Any]) -> Any:
    statistics = one.get("stats")
    return statistics.get("data") if isinstance(statistics, Mapping) else None


def _are_times(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) > 1
        and all(is_number(one) and math.isfinite(one) and one > 0 for one in values)
    )
