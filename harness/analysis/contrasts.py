"""Contrasts: every arm against the baseline on every metric, with paired estimates and verdicts
(docs/validity.md, "Verdicts of contrasts").

A text score is compared by the difference of two corpus scores (perplexities by their ratio) over the same
sentences (docs/validity.md, "Quality").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.analysis.results import ArmSummary, Contrast, Verdict
from harness.analysis.trial_table import IncomparableError, TrialTable, repeated
from harness.config import canonical_json
from harness.metrics import Metric, metric
from harness.statistics import (
    FEWEST_SEEDS,
    FEWEST_TEXTS,
    ScoreDifference,
    SentenceStatistics,
    compare_scores,
    holm,
    paired_estimate,
    safe_exp,
    sign_flip_p,
)
from harness.study.arms import Combination
from harness.wording import count, number_text

ALPHA = 0.05
COUNTED = "counted exactly"
LOST = "both arms diverged on every seed"

Named = tuple[str, str, str]
"""(metric, arm, condition as canonical JSON) of a contrast."""


def contrasts(table: TrialTable, invalid: Mapping[str, str], named: Iterable[Named]) -> tuple[Contrast, ...]:
    """Every arm except the baseline, under every condition, on every metric that has a better direction.

    `named` lists the contrasts that claims use. Each claim is a family of its own; all other contrasts of a
    metric share Holm's correction. A metric that the study needs is listed even if it was not measured: a
    contrast without data is `invalid`, never absent.
    """
    loaded, claimed = table.loaded, set(named)
    names = {loaded.study.primary, *table.values["metric"], *(name for name, _, _ in claimed)}
    raw = [
        estimated(table, metric(name), (arm, loaded.baseline), condition, invalid.get(arm.name, ""))
        for name in sorted(names)
        if metric(name).better != "neither"
        for condition in loaded.conditions
        for arm in loaded.arms[1:]
    ]
    return tuple(_decide(contrast, table) for contrast in _adjust(raw, claimed))


def estimated(
    table: TrialTable,
    record: Metric,
    arms: tuple[Combination, Combination],
    condition: Combination,
    invalid: str = "",
) -> Contrast:
    """The first arm against the second with all numbers, but not decided yet: `undecided`, or `invalid` with
    the reason.
    """
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
        margin=table.loaded.study.margin(record),
        baseline_value=nan,
        value=nan,
        pairs=(),
        verdict="invalid",
        relevant=False,
        reason=invalid,
    )
    try:
        sides = tuple(table.trials(record, side.name, condition) for side in arms)
        medians = replace(
            empty,
            value=float(np.median(list(sides[0].values()))),
            baseline_value=float(np.median(list(sides[1].values()))),
            verdict="invalid" if invalid else "undecided",
        )
        exploratory = table.loaded.study.design.exploratory
        if record.paired_over == "sentences":
            return _score_contrast(table, record, arms, condition, medians)
        if record.exact or (record.exact_if_repeated and repeated(sides) and not exploratory):
            return _counted(medians, sides)
        by_ratios = record.compared_by == "ratios"
        paired = table.log_ratios if by_ratios else table.differences
        pairs = paired(record, arm.name, other.name, condition)
    except IncomparableError as problem:
        return replace(empty, reason="; ".join(part for part in (invalid, str(problem)) if part))
    estimate, to_effect = paired_estimate(pairs), safe_exp if by_ratios else float
    lost = record.lost_by_divergence and table.lost(record, (arm.name, other.name), condition)
    return replace(
        medians,
        reason=medians.reason or (LOST if lost else ""),
        n=estimate.n,
        effect=to_effect(estimate.estimate),
        p=estimate.p,
        p_adjusted=estimate.p,
        p_sign_flip=sign_flip_p(pairs) if record.paired_over == "seeds" else None,
        low=to_effect(estimate.ci95.low),
        high=to_effect(estimate.ci95.high),
        low90=to_effect(estimate.ci90.low),
        high90=to_effect(estimate.ci90.high),
        t_low=to_effect(estimate.t95.low),
        t_high=to_effect(estimate.t95.high),
        pairs=tuple(sorted(pairs.items())),
    )


def _score_contrast(
    table: TrialTable,
    record: Metric,
    arms: tuple[Combination, Combination],
    condition: Combination,
    empty: Contrast,
) -> Contrast:
    """`empty` filled with the difference or the ratio of the scores. `beyond` stays empty if no sentence
    differs.

    A ratio is estimated as a difference of logs, and the bounds of `beyond` are logs too. Raises
    IncomparableError if sentences are missing, texts or signatures differ, or a score is not finite.
    """
    names = arms[0].name, arms[1].name
    scores = table.scores(record, names, condition)
    arm, other = (_on_scale(record, side) for side in scores)
    to_effect = safe_exp if record.compared_by == "ratios" else float
    try:
        difference = compare_scores(arm, other)
    except ValueError as problem:
        raise IncomparableError(str(problem)) from None
    ci95, ci90 = difference.interval(0.95), difference.interval(0.90)
    margin = scale(record, empty.margin)
    bounds = () if difference.identical else (-margin, 0.0, margin)
    beyond = {bound: difference.p if bound == 0.0 else difference.beyond(bound) for bound in bounds}
    return replace(
        empty,
        n=difference.texts,
        seeds=difference.seeds,
        open=_why_scores_decide_nothing(
            record,
            difference,
            [statistics.corpus_score for side in scores for statistics in side.values()],
            same_texts=difference.identical and table.wrote_the_same(record, names, condition),
        ),
        effect=to_effect(difference.estimate),
        low=to_effect(ci95.low),
        high=to_effect(ci95.high),
        low90=to_effect(ci90.low),
        high90=to_effect(ci90.high),
        p=difference.p,
        p_adjusted=difference.p,
        beyond=tuple(sorted(beyond.items())),
    )


def _why_scores_decide_nothing(
    record: Metric, difference: ScoreDifference, scores: Sequence[float], *, same_texts: bool
) -> str:
    """Why neither equality nor a direction follows from the `scores` of both arms, whatever they are."""
    if difference.effective_texts < FEWEST_TEXTS:
        texts = count(difference.texts, "distinct text")
        if difference.texts >= FEWEST_TEXTS:
            texts += (
                f", of which some are repeated so often that they count as {difference.effective_texts:.0f},"
            )
        return f"{texts} cannot decide; at least {FEWEST_TEXTS} are needed"
    if not difference.bounded:
        return f"{count(difference.seeds, 'seed')} cannot decide; at least {FEWEST_SEEDS} are needed, or one"
    near = scale(record, record.margin)
    for end, name in ((record.lowest, "lowest"), (record.highest, "highest")):
        values = [score if record.compared_by == "differences" else math.log(score) for score in scores]
        border = end if record.compared_by == "differences" or math.isinf(end) else math.log(end)
        if all(abs(value - border) <= near for value in values):
            return (
                f"{record.label} is at the {name} value that it can have, {number_text(end)}, in both arms, "
                "so it cannot show a difference"
            )
    if difference.identical and not same_texts:
        return f"{record.label} is the same for every text although the arms wrote different ones"
    return ""


def scale(record: Metric, margin: float) -> float:
    """A margin on the scale of a member's values: its logarithm for ratios, unchanged for differences."""
    return margin if record.compared_by == "differences" else math.log1p(margin)


def _on_scale(record: Metric, scores: Mapping[int, SentenceStatistics]) -> Mapping[int, SentenceStatistics]:
    if record.compared_by == "differences":
        return scores
    return {seed: _with_log(statistics) for seed, statistics in scores.items()}


def _with_log(statistics: SentenceStatistics) -> SentenceStatistics:
    """The statistics of the logarithm of the score."""
    return replace(statistics, score=lambda sums: np.log(statistics.score(sums)))


def _counted(medians: Contrast, sides: tuple[Mapping[tuple[int, int], float], ...]) -> Contrast:
    """An exact count repeats in every trial, so the difference is known: no interval, no p.

    Raises IncomparableError if the counts of an arm differ.
    """
    if any(len(set(side.values())) > 1 for side in sides):
        raise IncomparableError("an exact count differs between trials of the same arm")
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
    """Holm's correction over the contrasts of a metric that no claim uses.

    Invalid contrasts stay in the family, so a missing row never makes it smaller.
    """
    adjusted = list(raw)
    for name in {contrast.metric for contrast in raw}:
        family = {
            str(index): c.p
            for index, c in enumerate(raw)
            if c.metric == name
            and (c.metric, c.arm, canonical_json(c.condition)) not in named
            and not c.reason.endswith(COUNTED)
        }
        for index, p in holm(family).items():
            adjusted[int(index)] = replace(raw[int(index)], p_adjusted=p)
    return adjusted


def _decide(contrast: Contrast, table: TrialTable) -> Contrast:
    if contrast.verdict != "undecided" or contrast.reason == LOST:
        return contrast
    if contrast.open and not table.loaded.study.design.exploratory:
        return replace(contrast, reason=contrast.open)
    record, counted = metric(contrast.metric), contrast.reason == COUNTED
    neutral = record.neutral
    differs = contrast.p_adjusted <= ALPHA and not contrast.low <= neutral <= contrast.high
    alike = contrast.effect == neutral and _all_alike(contrast)
    if (counted and contrast.effect == neutral) or (alike and _same_outputs(contrast, table)):
        return replace(contrast, verdict="identical")
    if table.loaded.study.design.exploratory and not counted:
        return replace(contrast, reason="exploratory: the effect is shown without a verdict")
    least, most = allowed(record, contrast.margin)
    if alike or (least < contrast.low90 and contrast.high90 < most):
        return replace(
            contrast, verdict="equivalent", reason="real but negligible" if differs else contrast.reason
        )
    if not differs:
        return replace(contrast, reason=_why_undecided(contrast, neutral))
    relevant = contrast.low > most or contrast.high < least
    reason = contrast.reason if relevant else "the difference may be smaller than the margin"
    return replace(contrast, verdict=_direction(contrast.effect, record), relevant=relevant, reason=reason)


def allowed(record: Metric, margin: float) -> tuple[float, float]:
    """The smallest and the largest effect that count as no difference."""
    if record.compared_by == "differences":
        return -margin, margin
    return 1.0 / (1.0 + margin), 1.0 + margin


def _all_alike(contrast: Contrast) -> bool:
    if metric(contrast.metric).paired_over == "sentences":
        return not contrast.beyond
    return all(value == 0.0 for _, value in contrast.pairs)


def _same_outputs(contrast: Contrast, table: TrialTable) -> bool:
    condition = next(c for c in table.loaded.conditions if c.names == contrast.condition)
    arms = (contrast.arm, table.loaded.baseline.name)
    return table.same_outputs(metric(contrast.metric), arms, condition)


def _why_undecided(contrast: Contrast, neutral: float) -> str:
    if contrast.low <= neutral <= contrast.high:
        return "the interval includes zero difference"
    return "not significant after Holm's correction over all contrasts of this metric"


def _direction(effect: float, record: Metric) -> Verdict:
    return "better" if (effect > record.neutral) == (record.better == "higher") else "worse"


def summaries(table: TrialTable) -> tuple[ArmSummary, ...]:
    """The median and the range over trials for every metric, arm and condition."""
    conditions = {canonical_json(condition.names): condition.names for condition in table.loaded.conditions}
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
        for (name, arm, key), part in table.values.groupby(["metric", "arm", "condition"])["value"]
    )
