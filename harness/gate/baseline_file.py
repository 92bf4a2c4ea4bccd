"""A baseline in a file: the figures of an earlier tree on the same machine, as pytest-benchmark writes them.

Two versions that alternate on one machine can be compared in pairs. A file was measured at another time, so
its figures are compared without pairs, and only if a loop that no version contains takes the same time now.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from harness.analysis.results import ALPHA
from harness.errors import InputError, Location
from harness.gate.benchmarks import read_benchmarks
from harness.gate.decide import MARGIN, BenchmarkFinding, BenchmarkState
from harness.statistics import holm, safe_exp

KEY = "harness_gate"
"""The key of the file with what pytest-benchmark does not know."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The seconds of each benchmark, one figure per process, those of the control loop, and the digest of the
    machine with its software.
    """

    machine: str
    control: tuple[float, ...]
    benchmarks: Mapping[str, tuple[float, ...]]


def write_figures(file: Path, figures: Figures) -> None:
    """Write a file that pytest-benchmark and `harness gate --baseline` can read. Replaces the file whole."""
    rows = [
        {
            "name": name.rpartition("::")[2],
            "fullname": name,
            "stats": {"median": float(np.median(seconds)), "min": min(seconds), "data": list(seconds)},
        }
        for name, seconds in figures.benchmarks.items()
    ]
    document = {"benchmarks": rows, KEY: {"machine": figures.machine, "control": list(figures.control)}}
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        unfinished.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(file)
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", at=Location(str(file))) from None
    finally:
        unfinished.unlink(missing_ok=True)


def read_figures(file: Path) -> Figures:
    """Raises InputError if the file was not written by `harness gate --save`."""
    at, known = Location(str(file)), read_benchmarks(file)
    document = json.loads(file.read_text(encoding="utf-8"))
    extra = document.get(KEY)
    if not isinstance(extra, Mapping) or not isinstance(extra.get("machine"), str):
        raise InputError(
            "the file does not say on which machine it was measured", at=at, hint="`harness gate --save` does"
        )
    data = {one["fullname"]: one["stats"].get("data") for one in document["benchmarks"]}
    for name, values in (*data.items(), ("the control loop", extra.get("control"))):
        if not _are_times(values) or (name in known and known[name].problem):
            raise InputError(f"the figures of {name} are no times", at=at)
    return Figures(
        machine=extra["machine"],
        control=tuple(extra["control"]),
        benchmarks={name: tuple(values) for name, values in data.items()},
    )


def compare_figures(
    before: Figures, now: Figures, margins: Mapping[str, float]
) -> tuple[tuple[BenchmarkFinding, ...], str]:
    """The finding for every benchmark, and why nothing can be decided; that is empty if something can.

    Two-sample rank-sum tests of the shift of the logarithms (Mann & Whitney 1947), with Holm's correction.
    """
    if before.machine != now.machine:
        return (), "the baseline was measured on another machine or with other software"
    slower, faster = _shift(before.control, now.control, MARGIN), _shift(now.control, before.control, MARGIN)
    if min(slower.p_beyond, faster.p_beyond) <= ALPHA:
        took = f"{safe_exp(slower.centre):.3g} × the time that it took for the baseline"
        return (), f"the control loop, which no version contains, takes {took}"
    shifts = {
        name: _shift(before.benchmarks[name], seconds, margins.get(name, MARGIN))
        for name, seconds in now.benchmarks.items()
        if name in before.benchmarks
    }
    adjusted = holm({name: shift.p_beyond for name, shift in shifts.items()})
    findings = [_finding(name, shift, adjusted[name]) for name, shift in shifts.items()]
    for name in sorted(now.benchmarks.keys() - before.benchmarks.keys()):
        findings.append(BenchmarkFinding(name=name, state="new", reason="the baseline does not have it"))
    for name in sorted(before.benchmarks.keys() - now.benchmarks.keys()):
        findings.append(BenchmarkFinding(name=name, state="vanished", reason="only the baseline has it"))
    return tuple(findings), ""


class _Shift(NamedTuple):
    """How far the logarithms of the second sample lie above those of the first: the Hodges-Lehmann estimate
    with a 90 % interval (normal approximation), and p of "not beyond the margin" and of "not within it".
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
    rank = max(0, math.floor(len(differences) / 2 - stats.norm.ppf(1 - ALPHA) * spread))
    moved = second - math.log1p(margin)
    return _Shift(
        centre=float(np.median(differences)),
        low=float(differences[rank]),
        high=float(differences[-1 - rank]),
        p_beyond=float(stats.mannwhitneyu(moved, first, alternative="greater").pvalue),
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
    )


def _are_times(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) > 1
        and all(
            isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) and one > 0
            for one in values
        )
    )
