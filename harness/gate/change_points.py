"""Where the history of a benchmark changes, by the change point detection of `apache-otava` (Fleming et al.
2023, "Hunter: using change point detection to hunt for performance regressions").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec

from harness.gate.history import AcceptedRevision, BenchmarkHistory, benchmark_histories
from harness.wording import percent_text

NEWEST = 50
"""So many revisions at the end of a history are looked at: older steps are old news."""
LARGEST_P, SMALLEST_CHANGE = 0.001, 0.02


@dataclass(frozen=True, kw_only=True)
class ChangePoint:
    """The first revision with other times than those before it, and mean after ÷ mean before."""

    revision: str
    committed: datetime
    ratio: float

    @property
    def phrase(self) -> str:
        """`slower by 7 % since 0123456789ab (2026-03-01)`"""
        change = "slower" if self.ratio > 1 else "faster"
        day = self.committed.date().isoformat()
        return f"{change} by {percent_text(abs(self.ratio - 1))} since {self.revision[:12]} ({day})"


def can_find_changes() -> bool:
    """Whether the extra `history` is installed."""
    return find_spec("otava") is not None


def change_points(history: BenchmarkHistory) -> list[ChangePoint]:
    """The change points in the newest part of a history. There are none without the extra `history`."""
    if not can_find_changes():
        return []
    from otava.analysis import compute_change_points

    begin = max(0, len(history.seconds) - NEWEST)
    points, _ = compute_change_points(
        list(history.seconds[begin:]), NEWEST, max_pvalue=LARGEST_P, min_magnitude=SMALLEST_CHANGE
    )
    return [
        ChangePoint(
            revision=history.revisions[begin + one.index],
            committed=history.committed[begin + one.index],
            ratio=float(one.stats.mean_2 / one.stats.mean_1),
        )
        for one in points
    ]


def change_warnings(
    lines: Iterable[AcceptedRevision], *, machine: str, code: Mapping[str, str]
) -> tuple[str, ...]:
    """A sentence for each benchmark whose newest change on this machine made it slower. `code` has the digest
    of the code of the benchmarks that are asked about.
    """
    warnings = []
    for history in benchmark_histories(lines):
        if history.machine == machine and code.get(history.benchmark) == history.code:
            warnings += [
                f"{history.benchmark} is {point.phrase} in the history of accepted revisions, "
                "whose times are of different days and no pairs"
                for point in change_points(history)[-1:]
                if point.ratio > 1
            ]
    return tuple(warnings)
