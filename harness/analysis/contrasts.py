"""Arms against the baseline, metric by metric: paired estimates and verdicts (validity.md, "Verdicts, in this
order").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from harness.analysis.results import ArmSummary, Contrast, Verdict
from harness.analysis.score_contrasts import score_contrast
from harness.analysis.trial_table import Cells, IncomparableError, repeated
from harness.config import canonical_json
from harness.metrics import Metric, metric
from harness.statistics import drift, holm, paired_estimate, safe_exp, sign_flip_p
from harness.study.arms import Combination

ALPHA = 0.05
COUNTED = "counted exactly"
LOST = "both diverged on every seed"

Named = tuple[str, str, str]
"""(metric, arm, condition as canonical JSON) of a contrast."""


def contrasts(cells: Cells, invalid: Mapping[str, str], named: Iterable[Named]) -> tuple[Contrast, ...]:
    """Every arm but the baseline, under every condition, on every metric that has a better direction.

    `named` lists the contrasts of claims: they are families of their own, all others share Holm's correction.
    Metrics that the study is about are there even where nothing was measured: a contrast that is lost is
    `invalid`, never absent.
    """
    loaded, claimed = cells.loaded, set(named)
    names = {loaded.study.primary, *cells.values["metric"], *(name for name, _, _ in claimed)}
    raw = [
        estimated(cells, metric(name), (arm, loaded.baseline), condition, invalid.get(arm.name, ""))
        for name in sorted(names)
        if metric(name).better != "neither"
        for condition in loaded.conditions
        for arm in loaded.arms[1:]
    ]
    return tuple(_decide(contrast, cells) for contrast in _adjust(raw, claimed))


def estimated(
    cells: Cells,
    record: Metric,
    arms: tuple[Combination, Combination],
    condition: Combination,
    invalid: str = "",
) -> Contrast:
    """The first arm against the second, with its numbers: `undecided` still, or `invalid` with the reason."""
    nan = math.nan
    arm, other = arms
    empty = Contrast(
        metric=record.name,
        arm=arm.name,
        condition=condition.names,
        n=0,
        effect=nan,
        low=nan,
        high=nan,
        low90=nan,
        high90=nan,
        t_low=nan,
        t_high=nan,
        p=1.0,
        p_adjusted=1.0,
        margin=cells.loaded.study.margin(record),
        baseline_value=nan,
        value=nan,
        pairs=(),
        verdict="invalid",
        relevant=False,
        reason=invalid,
    )
    try:
        sides = tuple(cells.trials(record, each.name, condition) for each in arms)
        medians = replace(
            empty,
            value=float(np.median(list(sides[0].values()))),
            baseline_value=float(np.median(list(sides[1].values()))),
            verdict="invalid" if invalid else "undecided",
        )
        exploratory = cells.loaded.study.design.exploratory
        if record.paired_over == "sentences":
            return score_contrast(cells, record, arms, condition, medians)
        if record.exact or (record.exact_if_repeated and repeated(sides) and not exploratory):
            return _counted(medians, sides)
        by_ratios = record.compared_by == "ratios"
        paired = cells.log_ratios if by_ratios else cells.differences
        pairs = paired(record, arm.name, other.name, condition)
    except IncomparableError as problem:
        return replace(empty, reason="; ".join(part for part in (invalid, str(problem)) if part))
    estimate, told = paired_estimate(pairs), safe_exp if by_ratios else float
    lost = record.lost_by_divergence and cells.lost(record, (arm.name, other.name), condition)
    return replace(
        medians,
        reason=medians.reason or (LOST if lost else ""),
        n=estimate.n,
        effect=told(estimate.estimate),
        p=estimate.p,
        p_adjusted=estimate.p,
        p_sign_flip=sign_flip_p(pairs) if record.paired_over == "seeds" else None,
        low=told(estimate.ci95.low),
        high=told(estimate.ci95.high),
        low90=told(estimate.ci90.low),
        high90=told(estimate.ci90.high),
        t_low=told(estimate.t95.low),
        t_high=told(estimate.t95.high),
        pairs=tuple(sorted(pairs.items())),
    )


def _counted(medians: Contrast, sides: tuple[Mapping[tuple[int, int], float], ...]) -> Contrast:
    """What is counted repeats exactly, so the difference is known: no interval, no p."""
    if any(len(set(side.values())) > 1 for side in sides):
        raise IncomparableError("what is counted differs between trials of one arm")
    value, base = (next(iter(side.values())) for side in sides)
    ratio = 1.0 if value == base else value / base if base else math.inf
    return replace(
        medians,
        n=len(sides[0]),
        effect=ratio,
        low=ratio,
        high=ratio,
        low90=ratio,
        high90=ratio,
        p=0.0 if ratio != 1.0 else 1.0,
        p_adjusted=0.0 if ratio != 1.0 else 1.0,
        reason=medians.reason or COUNTED,
    )


def _adjust(raw: list[Contrast], named: set[Named]) -> list[Contrast]:
    """Holm over the contrasts of a metric that no claim names.

    Lost ones stay in the family: losing a row makes it no smaller.
    """
    adjusted = list(raw)
    for name in {contrast.metric for contrast in raw}:
        family = {
            str(place): c.p
            for place, c in enumerate(raw)
            if c.metric == name
            and (c.metric, c.arm, canonical_json(c.condition)) not in named
            and not c.reason.endswith(COUNTED)
        }
        for place, p in holm(family).items():
            adjusted[int(place)] = replace(raw[int(place)], p_adjusted=p)
    return adjusted


def _decide(contrast: Contrast, cells: Cells) -> Contrast:
    if contrast.verdict != "undecided" or contrast.reason == LOST:
        return contrast
    record, counted = metric(contrast.metric), contrast.reason == COUNTED
    none = record.neutral
    differs = contrast.p_adjusted <= ALPHA and not contrast.low <= none <= contrast.high
    alike = contrast.effect == none and _all_alike(contrast)
    if (counted and contrast.effect == none) or (alike and _same_outputs(contrast, cells)):
        return replace(contrast, verdict="identical")
    if cells.loaded.study.design.exploratory and not counted:
        return replace(contrast, reason="exploratory: effects, no verdicts")
    least, most = allowed(record, contrast.margin)
    if alike or (least < contrast.low90 and contrast.high90 < most):
        return replace(
            contrast, verdict="equivalent", reason="real but negligible" if differs else contrast.reason
        )
    if not differs:
        return replace(contrast, reason=_why_open(contrast, none))
    relevant = contrast.low > most or contrast.high < least
    reason = contrast.reason if relevant else "not shown to be relevant"
    return replace(contrast, verdict=_direction(contrast.effect, record), relevant=relevant, reason=reason)


def allowed(record: Metric, margin: float) -> tuple[float, float]:
    """The effects between which a difference does not matter."""
    if record.compared_by == "differences":
        return -margin, margin
    return 1.0 / (1.0 + margin), 1.0 + margin


def _all_alike(contrast: Contrast) -> bool:
    if metric(contrast.metric).paired_over == "sentences":
        return not contrast.beyond
    return all(value == 0.0 for _, value in contrast.pairs)


def _same_outputs(contrast: Contrast, cells: Cells) -> bool:
    condition = next(each for each in cells.loaded.conditions if each.names == contrast.condition)
    arms = (contrast.arm, cells.loaded.baseline.name)
    return cells.same_outputs(metric(contrast.metric), arms, condition)


def _why_open(contrast: Contrast, none: float) -> str:
    if contrast.low <= none <= contrast.high:
        return "the interval includes no difference"
    return "not significant among all comparisons of this metric (Holm)"


def _direction(effect: float, record: Metric) -> Verdict:
    return "better" if (effect > record.neutral) == (record.better == "higher") else "worse"


def summaries(cells: Cells) -> tuple[ArmSummary, ...]:
    """Median and range over trials, for every metric, arm and condition."""
    conditions = {canonical_json(condition.names): condition.names for condition in cells.loaded.conditions}
    return tuple(
        ArmSummary(
            metric=str(name),
            arm=str(arm),
            condition=conditions[str(key)],
            trials=len(part),
            median=float(part.median(skipna=False)),
            lowest=float(part.min(skipna=False)),
            highest=float(part.max(skipna=False)),
        )
        for (name, arm, key), part in cells.values.groupby(["metric", "arm", "condition"])["value"]
    )


def drift_warnings(cells: Cells, record: Metric) -> tuple[str, ...]:
    """Cells whose values rise or fall along the rounds (Kendall's tau, Holm over cells, at 1 %)."""
    found = {}
    if record.paired_over == "rounds":
        for condition in cells.loaded.conditions:
            for arm in cells.loaded.arms:
                try:
                    found[f"{arm.name} {condition.name}".strip()] = drift(
                        cells.pairs(record, arm.name, condition)
                    )
                except IncomparableError:
                    continue
    adjusted = holm({cell: result.p for cell, result in found.items()})
    return tuple(
        f"{cell}: {record.label} drifts over the rounds (tau {found[cell].tau:+.2f}); pairing within rounds removes most of it"
        for cell, p in adjusted.items()
        if p <= 0.01
    )
