"""Timed trials whose units had not become steady when they were counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.metrics import Metric
from harness.store.rows import TrialRow

MOST_UNSTEADY = 0.1
"""Of the trials: a machine that is disturbed now and then is not a warm-up that is too short."""


def unsteady_warnings(record: Metric, trials: Iterable[TrialRow]) -> Iterator[str]:
    """For a primary metric that is timed; `steady` is in the notes of each trial that warmed up."""
    if not record.timed:
        return
    timed = [
        trial
        for trial in trials
        if trial.purpose == "measure" and trial.status == "finished" and "steady" in trial.notes
    ]
    count = sum(not trial.notes["steady"] for trial in timed)
    if count > MOST_UNSTEADY * len(timed):
        yield (
            f"{count} of {len(timed)} trials were timed before their units agreed with one another; "
            "give them more units of warm-up (warm_up.at_most)"
        )
