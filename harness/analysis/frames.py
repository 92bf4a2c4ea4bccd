"""Stored rows as tables: a long frame of raw samples, and one value per trial and metric."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from harness.config import canonical_json
from harness.metrics import metric
from harness.scoring.sentences import Sentences
from harness.store.lost import lost_trials
from harness.store.rows import COUNTED_STATES, Chain, CheckRow, Run, TrialRow
from harness.store.store import Store

SAMPLE_COLUMNS = [
    "trial",
    "purpose",
    "task",
    "arm",
    "condition",
    "seed",
    "round",
    "position",
    "session",
    "metric",
    "step",
    "value",
    "unit",
]


_FORMULA = re.compile(r"[=@\t\r]|[+-](?!\d*\.?\d+(?:e[+-]?\d+)?\Z)", re.IGNORECASE)
"""The beginning of a text that a spreadsheet would compute: not that of a number with a sign."""

Measurement = tuple[str, str, int, int]
"""(arm, condition as canonical JSON, round, seed)."""


@dataclass(frozen=True, kw_only=True)
class RunFrames:
    """What a run recorded.

    `samples` is a long frame with a column per factor under `across`. `trials` are those that are not
    superseded. `sentences` maps a trial's id to the texts that the trial wrote. `chain` says what was changed
    in the store after it was written. `calibrated_flops` are the machine's fastest matrix products by
    precision. `lost` are the measurements whose round was begun and that have no value
    (`harness.store.lost`); `set_aside` has the samples of measurements that were superseded.
    """

    samples: pd.DataFrame
    trials: tuple[TrialRow, ...]
    checks: tuple[CheckRow, ...]
    sentences: Mapping[int, Sentences] = field(default_factory=dict)
    chain: Chain = field(default_factory=Chain)
    calibrated_flops: Mapping[str, float] = field(default_factory=dict)
    lost: frozenset[Measurement] = frozenset()
    set_aside: pd.DataFrame | None = None

    @cached_property
    def measured(self) -> pd.DataFrame:
        """The value of each metric in each measured trial, as `trial_values` gives it. Do not change it."""
        return trial_values(self.samples[self.samples["purpose"] == "measure"])


def run_frames(store: Store, run: Run) -> RunFrames:
    """Every row of a run that counts, read from the store."""
    attempts = store.trials(run, include_superseded=True)
    trials = tuple(row for row in attempts if row.state != "superseded")
    by_id = {trial.id: trial for trial in trials}
    checks = tuple(row for row in store.checks(run) if by_id[row.trial_id].status == "finished")
    return RunFrames(
        samples=sample_frame(trials, store.samples(run)),
        trials=trials,
        checks=checks,
        sentences=store.sentences(run),
        chain=store.chain(run),
        calibrated_flops=_calibrated_flops(store, run),
        lost=frozenset(
            (row.arm, canonical_json(row.condition), row.round, row.seed) for row in lost_trials(attempts)
        ),
        set_aside=_set_aside(store, run, attempts),
    )


def _calibrated_flops(store: Store, run: Run) -> dict[str, float]:
    """The fastest matrix products that a calibration measured before the run, by precision, in FLOP/s."""
    first = next(iter(store.sessions(run)), None)
    row = store.calibration(run.environment_digest, before=first)
    measured = row.facts.get("limits", {}).get("matmul", {}) if row else {}
    return {precision: flops for precision, flops in measured.items() if flops}


def _set_aside(store: Store, run: Run, attempts: Iterable[TrialRow]) -> pd.DataFrame | None:
    """The samples of superseded measurements that had finished. None if there are none."""
    rows = [
        replace(row, state=row.superseded_state, superseded_state=None)
        for row in attempts
        if row.purpose == "measure" and row.superseded_state in COUNTED_STATES
    ]
    return sample_frame(rows, store.samples(run, include_superseded=True)) if rows else None


def sample_frame(trials: Iterable[TrialRow], samples: Iterable[tuple[int, str, int, float]]) -> pd.DataFrame:
    """The long frame. Samples of trials that did not finish are left out."""
    finished = [trial for trial in trials if trial.status == "finished"]
    factors = sorted({factor for trial in finished for factor in trial.condition})
    heads = pd.DataFrame(
        [
            {
                "trial": trial.id,
                "purpose": trial.purpose,
                "task": trial.task,
                "arm": trial.arm,
                "condition": canonical_json(trial.condition),
                "seed": trial.seed,
                "round": trial.round,
                "position": trial.position,
                "session": trial.session_id,
                **{factor: trial.condition.get(factor) for factor in factors},
            }
            for trial in finished
        ],
        columns=[*SAMPLE_COLUMNS[:9], *factors],
    )
    rows = pd.DataFrame(list(samples), columns=["trial", "metric", "step", "value"])
    frame = rows.merge(heads, on="trial", how="inner", validate="many_to_one")
    frame["unit"] = frame["metric"].map(lambda name: metric(name).unit)
    return frame[[*SAMPLE_COLUMNS[:5], *factors, *SAMPLE_COLUMNS[5:]]]


def trial_values(samples: pd.DataFrame) -> pd.DataFrame:
    """The value of each metric in each trial (see `Metric.of_trials`) and the number of its samples."""
    keys = ["trial", "purpose", "arm", "condition", "seed", "round", "position", "session", "metric"]
    parts = []
    for name, part in samples.groupby("metric", sort=True):
        trials = np.unique(part["trial"].to_numpy(), return_inverse=True)[1]
        order = np.lexsort((part["step"].to_numpy(), trials))
        starts = np.flatnonzero(np.diff(trials[order], prepend=-1))
        values = part["value"].to_numpy(dtype=np.float64)[order]
        parts.append(
            part[keys]
            .iloc[order[starts]]
            .assign(
                value=metric(str(name)).of_trials(values, starts), samples=np.diff(starts, append=len(order))
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*keys, "value", "samples"])


def with_diverged(values: pd.DataFrame, trials: Iterable[TrialRow], metrics: Iterable[str]) -> pd.DataFrame:
    """The values, with every loss of a training that diverged set to infinity: it ranks last and is never
    dropped.
    """
    diverged = [trial for trial in trials if trial.status == "finished" and trial.notes.get("diverged")]
    losses = [name for name in metrics if metric(name).lost_by_divergence]
    if not diverged or not losses:
        return values
    ids = {trial.id for trial in diverged}
    lost = pd.DataFrame(
        [
            {
                "trial": trial.id,
                "purpose": trial.purpose,
                "arm": trial.arm,
                "condition": canonical_json(trial.condition),
                "seed": trial.seed,
                "round": trial.round,
                "position": trial.position,
                "session": trial.session_id,
                "metric": name,
                "value": math.inf,
                "samples": 0,
            }
            for trial in diverged
            if trial.purpose == "measure"
            for name in losses
        ]
    )
    others = values[~(values["trial"].isin(ids) & values["metric"].isin(losses))]
    return pd.concat([others, lost], ignore_index=True)


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame to be written as CSV: texts that a spreadsheet would take for a formula begin with an
    apostrophe, which spreadsheets read as the beginning of a text.
    """
    for name in frame.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]]:
        texts = frame[name].unique()
        formulas = {text: f"'{text}" for text in texts if isinstance(text, str) and _FORMULA.match(text)}
        if formulas:
            frame = frame.assign(**{name: frame[name].replace(formulas)})
    return frame
