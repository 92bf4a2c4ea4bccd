"""The series that trainings recorded: values over the updates, each reduced to a bounded number of points
while it is read.

A run can have millions of samples, so only the series that are drawn are read, one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.metrics import AUXILIARY_LOSS

if TYPE_CHECKING:
    from harness.analysis.frames import StoredFrames
    from harness.store.rows import TrialRow

MOST_POINTS = 80
FEWEST_POINTS = 40
"""The largest number of points of one trial in a figure, with few and with very many trials. Longer series
are means over equal windows.
"""
POINTS_OF_ALL = 2_400
"""Between these two, all trials of a figure have together about so many points, which keeps a page small."""

MOST_SERIES = 8
MOST_SAMPLES = 300_000
"""The most samples of one metric that are read. If there are more, the last seeds are left out."""

SECONDS = "update_seconds"
_FIRST = (
    "loss",
    "validation_loss",
    "gradient_norm",
    "learning_rate",
    "training_tokens_per_second",
    "zero_gradients",
    "validation_loss_as_trained",
    "log_z",
)
"""The metrics in the order in which they are drawn, if they were recorded."""


@dataclass(frozen=True, kw_only=True)
class TrialSeries:
    """One metric in one training. `updates` is the number of updates until each point; a value is the mean
    over the samples since the point before.
    """

    trial: int
    updates: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Series:
    """One metric in all trainings. A point is the mean of `window` samples. `seeds_left_out` counts the seeds
    that were not read because there are too many samples.
    """

    metric: str
    window: int
    trials: tuple[TrialSeries, ...]
    seeds_left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The series of a run in the order in which they are drawn. `seconds` has the time since the first update
    at some of the updates of each trial, without evaluations. `not_drawn` names the metrics that are left
    out.
    """

    series: tuple[Series, ...] = ()
    seconds: Mapping[int, TrialSeries] = field(default_factory=dict)
    not_drawn: tuple[str, ...] = ()


NOTHING_RECORDED = Recorded()


def trainings(trials: Iterable[TrialRow]) -> list[TrialRow]:
    """The trials whose series are drawn: trainings that finished, without those of tuning."""
    return [
        row
        for row in trials
        if row.status == "finished" and row.task == "train" and row.purpose in ("measure", "train")
    ]


def read_series(frames: StoredFrames) -> Recorded:
    """The series of the trainings of a run."""
    rows = trainings(frames.trials)
    ids = {row.id for row in rows}
    counts = {
        name: {trial: number for trial, number in by_trial.items() if trial in ids}
        for name, by_trial in frames.counts.items()
        if name in _FIRST or name.startswith(AUXILIARY_LOSS)
    }
    several = [name for name, by_trial in counts.items() if max(by_trial.values(), default=0) > 1]
    ordered = sorted(several, key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))
    drawn = ordered[:MOST_SERIES]
    series = tuple(_read(frames, name, *_bounded(rows, counts[name])) for name in drawn)
    read = {one.trial for drawn_series in series for one in drawn_series.trials}
    timed = {trial: n for trial, n in frames.counts.get(SECONDS, {}).items() if trial in read}
    clock = _read(frames, SECONDS, timed, 0, total=True) if timed else None
    return Recorded(
        series=series,
        seconds={one.trial: one for one in clock.trials} if clock else {},
        not_drawn=tuple(ordered[MOST_SERIES:]),
    )


def _bounded(rows: Sequence[TrialRow], counts: Mapping[int, int]) -> tuple[dict[int, int], int]:
    """The counts of the first seeds, which together have at most `MOST_SAMPLES` samples, and the number of
    seeds that are left out. The first seed is always read.
    """
    seeds = sorted({row.seed for row in rows if row.id in counts})
    total, taken = 0, set[int]()
    for seed in seeds:
        total += sum(counts.get(row.id, 0) for row in rows if row.seed == seed)
        if taken and total > MOST_SAMPLES:
            break
        taken.add(seed)
    chosen = {row.id: counts[row.id] for row in rows if row.id in counts and row.seed in taken}
    return chosen, len(seeds) - len(taken)


def _read(
    frames: StoredFrames, name: str, counts: Mapping[int, int], left_out: int, *, total: bool = False
) -> Series:
    most = min(MOST_POINTS, max(FEWEST_POINTS, POINTS_OF_ALL // len(counts)))
    window = max(1, math.ceil(max(counts.values()) / most))
    trials: list[TrialSeries] = []
    for ids, steps, values in frames.store.measurements(name, counts):
        ends = np.cumsum([counts[one] for one in ids])[:-1]
        for one, at, measured in zip(ids, np.split(steps, ends), np.split(values, ends), strict=True):
            trials.append(reduced(one, at, measured, window=window, total=total))
    return Series(metric=name, window=window, trials=tuple(trials), seeds_left_out=left_out)


def reduced(
    trial: int,
    steps: NDArray[np.int64],
    values: NDArray[np.float64],
    *,
    window: int,
    total: bool = False,
) -> TrialSeries:
    """The means over windows of so many samples, of which the last may be shorter. With `total` a value is
    the sum of all samples until then.
    """
    starts = np.arange(0, len(values), window)
    ends = np.append(starts[1:], len(values)) - 1
    points = np.cumsum(values)[ends] if total else np.add.reduceat(values, starts) / (ends - starts + 1)
    return TrialSeries(trial=trial, updates=steps[ends].astype(np.float64) + 1, values=points)
