"""Stored rows as tables: a long frame of raw samples, and one value per trial and metric."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain

import numpy as np
import pandas as pd

from harness.config import canonical_json
from harness.metrics import metric, stored_metric
from harness.scoring.sentences import Sentences
from harness.store.lost import lost_trials
from harness.store.rows import COUNTED_STATES, Chain, CheckRow, Run, TrialRow
from harness.store.store import Store
from harness.trial.spec import Purpose
from harness.visible import without_formula

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
_VALUE_KEYS = ("trial", "purpose", "arm", "condition", "seed", "round", "position", "session", "metric")
_MOST_CURVES = 2
"""As many metrics as one question needs are remembered."""

Measurement = tuple[str, str, int, int]
"""(arm, condition as canonical JSON, round, seed)."""


@dataclass(frozen=True, kw_only=True)
class RunFrames(ABC):
    """What a run recorded.

    `trials` are those that are not superseded. `sentences` maps a trial's id to the texts that the trial
    wrote. `chain` says what was changed in the store after it was written. `calibrated_flops` are the
    machine's fastest matrix products by precision. `lost` are the measurements whose round was begun and that
    have no value (`harness.store.lost`).

    Samples may be very many, so they are read as one value per trial, or metric by metric.
    """

    trials: tuple[TrialRow, ...]
    checks: tuple[CheckRow, ...]
    sentences: Mapping[int, Sentences] = field(default_factory=dict)
    chain: Chain = field(default_factory=Chain)
    calibrated_flops: Mapping[str, float] = field(default_factory=dict)
    lost: frozenset[Measurement] = frozenset()

    @cached_property
    def measured(self) -> pd.DataFrame:
        """The value of each metric in each measured trial, as `trial_values` gives it. Do not change it."""
        return self.values("measure")

    @abstractmethod
    def values(self, *purposes: Purpose, only: str | None = None) -> pd.DataFrame:
        """The value of each metric, or of one, in each trial of these purposes that finished, as
        `trial_values` gives it.
        """

    @abstractmethod
    def set_aside(self, name: str) -> pd.DataFrame:
        """The values of a metric in measurements that finished and were superseded."""

    @abstractmethod
    def _read_curve(self, name: str) -> pd.DataFrame: ...

    def curve(self, name: str) -> pd.DataFrame:
        """All samples of a metric in the trials that finished, in the order of trials and steps: the columns
        `trial`, `step` and `value`. Do not change it.
        """
        while name not in self._curves and len(self._curves) >= _MOST_CURVES:
            self._curves.pop(next(iter(self._curves)))
        if name not in self._curves:
            self._curves[name] = self._read_curve(name)
        return self._curves[name]

    @cached_property
    def _curves(self) -> dict[str, pd.DataFrame]:
        return {}


@dataclass(frozen=True, kw_only=True)
class MemoryFrames(RunFrames):
    """`samples` is a long frame with a column per factor under `across`."""

    samples: pd.DataFrame

    def values(self, *purposes: Purpose, only: str | None = None) -> pd.DataFrame:
        samples = self.samples[self.samples["purpose"].isin(purposes)]
        return trial_values(samples if only is None else samples[samples["metric"] == only])

    def set_aside(self, name: str) -> pd.DataFrame:  # noqa: ARG002  only a store has superseded trials
        return trial_values(self.samples.iloc[:0])

    def _read_curve(self, name: str) -> pd.DataFrame:
        samples = self.samples.loc[self.samples["metric"] == name, ["trial", "step", "value"]]
        return samples.sort_values(["trial", "step"], kind="stable")


@dataclass(frozen=True, kw_only=True)
class StoredFrames(RunFrames):
    """The samples stay in the store, which must be open whenever they are asked for. `attempts` are all
    trials, superseded ones included.
    """

    store: Store
    attempts: tuple[TrialRow, ...]

    @cached_property
    def counts(self) -> dict[str, dict[int, int]]:
        """Metric → trial → the number of its samples, for the trials that finished."""
        return _counts(self.store, self.trials)

    def values(self, *purposes: Purpose, only: str | None = None) -> pd.DataFrame:
        chosen = [trial for trial in self.trials if trial.purpose in purposes]
        counts = self.counts if only is None else {only: self.counts.get(only, {})}
        return _stored_values(self.store, chosen, counts)

    def set_aside(self, name: str) -> pd.DataFrame:
        rows = [
            replace(row, state=row.superseded_state, superseded_state=None)
            for row in self.attempts
            if row.purpose == "measure" and row.superseded_state in COUNTED_STATES
        ]
        counts = self.store.sample_counts(row.id for row in rows)
        return _stored_values(self.store, rows, {name: counts.get(name, {})})

    def _read_curve(self, name: str) -> pd.DataFrame:
        counts = self.counts.get(name, {})
        total, begin = sum(counts.values()), 0
        trial, step = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int64)
        value = np.empty(total)
        for ids, steps, values in self.store.measurements(name, counts):
            end = begin + len(values)
            trial[begin:end] = np.repeat(ids, [counts[one] for one in ids])
            step[begin:end], value[begin:end] = steps, values
            begin = end
        return pd.DataFrame({"trial": trial, "step": step, "value": value}, copy=False)


def run_frames(store: Store, run: Run) -> StoredFrames:
    """Every row of a run that counts, and what was changed in the store. Samples are read later, while the
    store is open.
    """
    return replace(unchecked_frames(store, run), chain=store.chain(run))


def unchecked_frames(store: Store, run: Run) -> StoredFrames:
    """The same without the chain of the run, for whatever gives no verdict: checking it reads everything."""
    attempts = tuple(store.trials(run, include_superseded=True))
    trials = tuple(row for row in attempts if row.state != "superseded")
    by_id = {trial.id: trial for trial in trials}
    return StoredFrames(
        store=store,
        trials=trials,
        attempts=attempts,
        checks=tuple(row for row in store.checks(run) if by_id[row.trial_id].status == "finished"),
        sentences=store.sentences(run),
        calibrated_flops=_calibrated_flops(store, run),
        lost=frozenset(
            (row.arm, canonical_json(row.condition), row.round, row.seed) for row in lost_trials(attempts)
        ),
    )


def _calibrated_flops(store: Store, run: Run) -> dict[str, float]:
    """The fastest matrix products that a calibration measured before the run, by precision, in FLOP/s."""
    first = next(iter(store.sessions(run)), None)
    row = store.calibration(run.environment_digest, before=first)
    measured = row.facts.get("limits", {}).get("matmul", {}) if row else {}
    return {precision: flops for precision, flops in measured.items() if flops}


def factors_of(trials: Iterable[TrialRow]) -> list[str]:
    """The factors under `across` of the trials that finished, each of which has a column in the frame."""
    return sorted({factor for trial in trials if trial.status == "finished" for factor in trial.condition})


def frame_columns(trials: Iterable[TrialRow]) -> list[str]:
    """The columns of the long frame."""
    return _columns(factors_of(trials))


def _columns(factors: Sequence[str]) -> list[str]:
    return [*SAMPLE_COLUMNS[:5], *factors, *SAMPLE_COLUMNS[5:]]


def long_frame(store: Store, trials: Sequence[TrialRow]) -> pd.DataFrame:
    """The long frame of all samples of the trials that finished."""
    return sample_frame(trials, chain.from_iterable(store.sample_pieces(_counts(store, trials))))


def frame_pieces(store: Store, trials: Sequence[TrialRow]) -> Iterator[pd.DataFrame]:
    """The same in pieces of a bounded size, which have the same columns. One is empty if there are none."""
    by_id, factors, counts = {trial.id: trial for trial in trials}, factors_of(trials), _counts(store, trials)
    for rows in store.sample_pieces(counts) if counts else [()]:
        here = [by_id[trial] for trial in dict.fromkeys(row[0] for row in rows)]
        yield sample_frame(here, rows, factors)


def _counts(store: Store, trials: Iterable[TrialRow]) -> dict[str, dict[int, int]]:
    """Metric → trial → the number of its samples, for the trials that finished."""
    return store.sample_counts(trial.id for trial in trials if trial.status == "finished")


def sample_frame(
    trials: Iterable[TrialRow],
    samples: Iterable[tuple[int, str, int, float | None]],
    factors: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The long frame. Samples of trials that did not finish are left out."""
    finished = [trial for trial in trials if trial.status == "finished"]
    factors = factors_of(finished) if factors is None else factors
    heads = _heads(finished)
    for factor in factors:
        heads[factor] = [trial.condition.get(factor) for trial in finished]
    rows = pd.DataFrame(list(samples), columns=["trial", "metric", "step", "value"])
    rows["value"] = rows["value"].astype(np.float64)  # of samples that are all None, which is NaN
    frame = rows.merge(heads, on="trial", how="inner", validate="many_to_one")
    units = {name: stored_metric(name).unit for name in frame["metric"].unique()}
    frame["unit"] = frame["metric"].map(units)
    return frame[_columns(factors)]


def _heads(trials: Iterable[TrialRow]) -> pd.DataFrame:
    """One row per trial, with the columns of the long frame that do not depend on the sample."""
    rows = [
        (
            trial.id,
            trial.purpose,
            trial.task,
            trial.arm,
            canonical_json(trial.condition),
            trial.seed,
            trial.round,
            trial.position,
            trial.session_id,
        )
        for trial in trials
    ]
    return pd.DataFrame(rows, columns=SAMPLE_COLUMNS[:9])


def _stored_values(
    store: Store, trials: Sequence[TrialRow], counts: Mapping[str, Mapping[int, int]]
) -> pd.DataFrame:
    """As `trial_values`, for the samples of these trials that `counts` has counted."""
    heads = _heads(trials).sort_values("trial").set_index("trial", drop=False)
    ids, parts = set(heads["trial"]), []
    for name in sorted(counts):
        here = {trial: number for trial, number in counts[name].items() if trial in ids}
        if here:
            part = heads.loc[sorted(here), list(_VALUE_KEYS[:-1])]
            values = store.attempt_values(name, here)
            parts.append(
                part.assign(
                    metric=name,
                    value=[values[trial] for trial in part["trial"]],
                    samples=[here[trial] for trial in part["trial"]],
                )
            )
    return pd.concat(parts, ignore_index=True) if parts else _no_values()


def _no_values() -> pd.DataFrame:
    return pd.DataFrame(columns=[*_VALUE_KEYS, "value", "samples"])


def trial_values(samples: pd.DataFrame) -> pd.DataFrame:
    """The value of each metric in each trial (see `Metric.of_trials`) and the number of its samples."""
    keys, parts = list(_VALUE_KEYS), []
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
    return pd.concat(parts, ignore_index=True) if parts else _no_values()


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
        formulas = {
            text: without_formula(text)
            for text in texts
            if isinstance(text, str) and without_formula(text) != text
        }
        if formulas:
            frame = frame.assign(**{name: frame[name].replace(formulas)})
    return frame
