"""Arms against the baseline, metric by metric: paired estimates and verdicts (validity.md, "Verdicts, in this order")."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from harness.analysis.results import ArmSummary, Contrast, Verdict
from harness.config import canonical_json
from harness.metrics import DEFAULT_MARGINS, Metric, metric
from harness.statistics import drift, holm, log_ratios, paired_estimate
from harness.study.arms import Combination
from harness.study.load import LoadedStudy

ALPHA = 0.05


class IncomparableError(Exception):
    """Why a contrast cannot be computed; it becomes the reason of an `invalid` verdict."""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """One value a trial, for the measurements of a study: what contrasts and claims are computed from."""

    loaded: LoadedStudy
    values: pd.DataFrame

    def rounds(self, metric_name: str, arm: str, condition: Combination) -> dict[int, float]:
        """Round → value, the geometric mean over seeds. Raises IncomparableError unless every planned trial is there, once."""
        key = canonical_json(condition.names)
        frame = self.values
        part = frame[(frame["metric"] == metric_name) & (frame["arm"] == arm) & (frame["condition"] == key)]
        design = self.loaded.study.design
        found = sorted(zip(part["round"], part["seed"], strict=True))
        planned = [(number, seed) for number in range(1, design.rounds + 1) for seed in range(design.seeds)]
        if found != planned:
            lost = sorted({number for number, _ in set(planned) - set(found)})
            raise IncomparableError(f"{arm} lacks {metric_name} in {len(lost)} of {design.rounds} rounds")
        if part["value"].isna().any():
            raise IncomparableError(f"{arm} has a {metric_name} that is not a number")
        if design.seeds == 1:
            return {
                int(number): float(value) for number, value in zip(part["round"], part["value"], strict=True)
            }
        logs = part.assign(value=part["value"].map(lambda value: math.log(value) if value > 0 else -math.inf))
        return {
            int(str(number)): math.exp(value)
            for number, value in logs.groupby("round")["value"].mean().items()
        }

    def log_ratios(self, metric_name: str, arm: str, condition: Combination) -> dict[int, float]:
        """Round → ln(arm / baseline). Raises IncomparableError where the two were not run in one session."""
        sides = [self.rounds(metric_name, name, condition) for name in (arm, self.loaded.baseline.name)]
        if min(min(side.values()) for side in sides) <= 0:
            raise IncomparableError(f"a {metric_name} of zero or less has no ratio")
        frame = self.values[self.values["condition"] == canonical_json(condition.names)]
        both = frame[frame["arm"].isin([arm, self.loaded.baseline.name])]
        sessions = both.groupby("round")["session"].nunique()
        if (sessions > 1).any():
            raise IncomparableError(f"round {sessions.idxmax()} was not run in one session")
        return log_ratios(*sides)


def margin_of(loaded: LoadedStudy, record: Metric) -> float:
    """The largest difference that does not matter: by the study for the metric, for its family, or the default."""
    margins = loaded.study.margins
    return margins.get(record.name, margins.get(record.family, DEFAULT_MARGINS[record.family]))


def contrasts(
    cells: Cells, invalid: Mapping[str, str], named: Iterable[tuple[str, str, str]]
) -> tuple[Contrast, ...]:
    """Every arm but the baseline, under every condition, on every metric that has a better direction.

    `named` lists (metric, arm, condition) of claims: they are families of their own, all others share Holm's correction.
    """
    loaded = cells.loaded
    raw = [
        _contrast(cells, metric(name), arm, condition, invalid.get(arm.name))
        for name in sorted(set(cells.values["metric"]))
        if metric(name).better != "neither"
        for condition in loaded.conditions
        for arm in loaded.arms[1:]
    ]
    return tuple(_decide(contrast, loaded) for contrast in _adjust(raw, set(named)))


def _contrast(
    cells: Cells, record: Metric, arm: Combination, condition: Combination, invalid: str | None
) -> Contrast:
    nan = math.nan
    empty = Contrast(
        metric=record.name,
        arm=arm.name,
        condition=condition.names,
        n=0,
        ratio=nan,
        low=nan,
        high=nan,
        low90=nan,
        high90=nan,
        t_low=nan,
        t_high=nan,
        p=1.0,
        p_adjusted=1.0,
        margin=margin_of(cells.loaded, record),
        baseline_value=nan,
        value=nan,
        log_ratios=(),
        verdict="invalid",
        relevant=False,
        reason=invalid or "",
    )
    if record.family == "bytes":
        return _counted(cells, record, empty)
    try:
        pairs = cells.log_ratios(record.name, arm.name, condition)
    except IncomparableError as problem:
        return replace(empty, reason="; ".join(part for part in (invalid, str(problem)) if part))
    estimate = paired_estimate(pairs)
    values = [
        pd.Series(cells.rounds(record.name, name, condition))
        for name in (cells.loaded.baseline.name, arm.name)
    ]
    return replace(
        empty,
        n=estimate.n,
        ratio=math.exp(estimate.estimate),
        p=estimate.p,
        p_adjusted=estimate.p,
        low=_exp(estimate.ci95.low),
        high=_exp(estimate.ci95.high),
        low90=_exp(estimate.ci90.low),
        high90=_exp(estimate.ci90.high),
        t_low=_exp(estimate.t95.low),
        t_high=_exp(estimate.t95.high),
        baseline_value=float(values[0].median()),
        value=float(values[1].median()),
        log_ratios=tuple(sorted(pairs.items())),
        verdict="invalid" if invalid else "undecided",
    )


def _counted(cells: Cells, record: Metric, empty: Contrast) -> Contrast:
    """Bytes that are counted repeat exactly: equal is identical, and any steady difference is one."""
    condition = next(condition for condition in cells.loaded.conditions if condition.names == empty.condition)
    try:
        rounds = [
            cells.rounds(record.name, name, condition) for name in (cells.loaded.baseline.name, empty.arm)
        ]
    except IncomparableError as problem:
        return replace(empty, reason="; ".join(part for part in (empty.reason, str(problem)) if part))
    if any(len(set(side.values())) > 1 for side in rounds):
        return replace(empty, reason="counted bytes differ between rounds")
    base, value = (next(iter(side.values())) for side in rounds)
    ratio = 1.0 if value == base else value / base if base else math.inf
    counted = replace(
        empty,
        n=len(rounds[0]),
        ratio=ratio,
        low=ratio,
        high=ratio,
        low90=ratio,
        high90=ratio,
        baseline_value=base,
        value=value,
    )
    if empty.reason:
        return counted
    verdict: Verdict = "identical" if ratio == 1.0 else _direction(ratio, record)
    return replace(counted, verdict=verdict, relevant=ratio != 1.0, reason="counted exactly")


def _exp(value: float) -> float:
    return math.inf if value == math.inf else math.exp(value)


def _adjust(raw: list[Contrast], named: set[tuple[str, str, str]]) -> list[Contrast]:
    adjusted = []
    for name in sorted({contrast.metric for contrast in raw}):
        members = [contrast for contrast in raw if contrast.metric == name]
        keys = {(c.arm, canonical_json(c.condition)): c for c in members}
        family = {
            f"{arm}|{where}": c.p
            for (arm, where), c in keys.items()
            if (name, arm, where) not in named and c.log_ratios
        }
        corrected = holm(family)
        adjusted += [
            replace(c, p_adjusted=corrected.get(f"{arm}|{where}", c.p)) for (arm, where), c in keys.items()
        ]
    return adjusted


def _decide(contrast: Contrast, loaded: LoadedStudy) -> Contrast:
    if contrast.verdict != "undecided":
        return contrast
    record = metric(contrast.metric)
    if loaded.study.design.exploratory:
        return replace(contrast, reason="exploratory: effects, no verdicts")
    limit = math.log1p(contrast.margin)
    excludes = contrast.p_adjusted <= ALPHA and not contrast.low <= 1.0 <= contrast.high
    if -limit <= math.log(contrast.low90) and math.log(contrast.high90) <= limit:
        return replace(contrast, verdict="equivalent", reason="real but negligible" if excludes else "")
    if excludes:
        verdict = _direction(contrast.ratio, record)
        relevant = math.log(contrast.low) > limit or math.log(contrast.high) < -limit
        return replace(
            contrast,
            verdict=verdict,
            relevant=relevant,
            reason="" if relevant else "not shown to be relevant",
        )
    return replace(contrast, reason="the interval includes no difference")


def _direction(ratio: float, record: Metric) -> Verdict:
    return "better" if (ratio > 1.0) == (record.better == "higher") else "worse"


def summaries(cells: Cells) -> tuple[ArmSummary, ...]:
    """Median and range over trials, for every metric, arm and condition."""
    conditions = {canonical_json(condition.names): condition.names for condition in cells.loaded.conditions}
    rows = []
    for (name, arm, key), part in cells.values.groupby(["metric", "arm", "condition"])["value"]:
        rows.append(
            ArmSummary(
                metric=str(name),
                arm=str(arm),
                condition=conditions[str(key)],
                trials=len(part),
                median=float(part.median(skipna=False)),
                lowest=float(part.min(skipna=False)),
                highest=float(part.max(skipna=False)),
            )
        )
    return tuple(rows)


def drift_warnings(cells: Cells, metric_name: str) -> tuple[str, ...]:
    """Cells whose values rise or fall along the rounds (Kendall's tau, Holm over cells, at 1 %)."""
    found = {}
    for condition in cells.loaded.conditions:
        for arm in cells.loaded.arms:
            try:
                found[f"{arm.name} {condition.name}".strip()] = drift(
                    cells.rounds(metric_name, arm.name, condition)
                )
            except IncomparableError:
                continue
    adjusted = holm({cell: result.p for cell, result in found.items()})
    return tuple(
        f"{cell}: {metric(metric_name).label} drifts over the rounds (tau {found[cell].tau:+.2f}); pairing within rounds removes most of it"
        for cell, p in adjusted.items()
        if p <= 0.01
    )
