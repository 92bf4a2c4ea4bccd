"""Residuals: real measurements without the level of their arm. Simulated studies draw their noise
from them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.analysis.frames import unchecked_frames
from harness.metrics import METRICS
from harness.statistics import MINIMUM_ROUNDS
from harness.store.rows import Run
from harness.store.store import Store

SHIPPED = Path(__file__).with_name("residuals.json")
MOST_RUNS = 5

Trial = tuple[float, ...]
"""The logarithm of each timed unit of a trial, minus the median of its arm under its condition over all
rounds.
"""


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """`rounds` has the trials of each measured round; `source` says where they were measured."""

    source: str
    rounds: tuple[tuple[Trial, ...], ...]

    def scatter(self) -> float:
        """The standard deviation of the log ratio of two trials of the same round, over all such pairs."""
        squares = [
            (np.median(first) - np.median(second)) ** 2
            for trials in self.rounds
            for index, first in enumerate(trials)
            for second in trials[:index]
        ]
        return math.sqrt(float(np.mean(squares)))


def shipped_residuals() -> Residuals:
    """The residuals of a run of `studies/kv_cache.yaml` on a machine with two cores. They are used on
    machines that have no suitable run yet.
    """
    stored = json.loads(SHIPPED.read_text(encoding="utf-8"))
    rounds = tuple(tuple(tuple(trial) for trial in trials) for trials in stored["rounds"])
    return Residuals(source=stored["source"], rounds=rounds)


def stored_residuals(store: Store, machine: str) -> Residuals | None:
    """The residuals of the newest runs of timings that were made on `machine`. None if there are none.

    `machine` is the `machine` of an Environment. Runs with a planted bug or fewer than ten rounds are left
    out.
    """
    wanted = [
        run
        for run in reversed(store.runs())
        if run.plant is None and run.environment.get("machine") == machine
    ]
    used: list[Run] = []
    rounds: list[tuple[Trial, ...]] = []
    for run in wanted:
        measured = tuple(_rounds(store, run))
        if len(measured) >= MINIMUM_ROUNDS:
            used.append(run)
            rounds += measured
        if len(used) == MOST_RUNS:
            break
    if not used:
        return None
    named = ", ".join(f"{run.id} of {run.study}" for run in used)
    return Residuals(
        source=f"measured on this machine, run{'s' if len(used) > 1 else ''} {named}", rounds=tuple(rounds)
    )


def _rounds(store: Store, run: Run) -> Iterator[tuple[Trial, ...]]:
    primary = METRICS.get(json.loads(run.study_json).get("primary", ""))
    if primary is None or not primary.timed:
        return
    frames = unchecked_frames(store, run)
    heads = frames.values("measure", only=primary.name)[["trial", "arm", "condition", "round"]]
    samples = frames.curve(primary.name).merge(heads, on="trial", how="inner")
    samples = samples[np.isfinite(samples["value"]) & (samples["value"] > 0)]
    logs = samples.assign(log=np.log(samples["value"].astype(float)))
    levels = logs.groupby("trial").agg(
        log=("log", "median"), arm=("arm", "first"), condition=("condition", "first")
    )
    middle = levels.groupby(["arm", "condition"])["log"].transform("median")
    for _, part in logs.groupby("round", sort=True):
        by_trial = part.groupby("trial", sort=True)
        trials = [_trial(samples["log"], float(middle[trial])) for trial, samples in by_trial]
        if len(trials) > 1:
            yield tuple(trials)


def _trial(logs: Iterable[float], middle: float) -> Trial:
    return tuple(round(float(log) - middle, 5) for log in logs)
