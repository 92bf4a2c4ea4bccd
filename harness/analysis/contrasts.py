"""Contrasts: every arm against the baseline on every metric, with paired estimates and verdicts
(docs/validity.md, "Verdicts of contrasts").

A text score is compared by the difference of two corpus scores (perplexities by their ratio) over the same
sentences (docs/validity.md, "Quality").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np

from harness.analysis.member import COUNTED, contrast_member
from harness.analysis.results import ALPHA, ArmSummary, Contrast, Verdict
from harness.analysis.trial_table import Diverged, IncomparableError, TrialTable, repeated
from harness.config import canonical_json
from harness.metrics import Metric, metric
from harness.statistics import (
    FEWEST_MODELS,
    FEWEST_SEEDS,
    FEWEST_TEXTS,
    ScoreDifference,
    SentenceStatistics,
    compare_scores,
    holm,
    holm_levels,
    replicates,
    safe_exp,
    sign_flip_p,
)
from harness.study.arms import Combination
from harness.study.trainings import trained_apart
from harness.wording import count, number_text

LOST = "both arms diverged on every seed"

Named = tuple[str, str, str]
"""(metric, arm, condition as canonical JSON) of a contrast."""


@dataclass(frozen=True, kw_only=True)
class ContrastQuestion:
    """A contrast that is to be judged: an arm against the baseline of the table's study, on one metric under
    one condition. `invalid` says why the numbers of the arm do not count.
    """

    table: TrialTable
    metric: str
    arm: Combination
    condition: Combination
    invalid: str = ""

    def estimated(self, alpha: float) -> Contrast:
        """The contrast with all numbers, but not decided yet (see `estimated`)."""
        arms = self.arm, self.table.loaded.baseline
        return estimated(self.table, metric(self.metric), arms, self.condition, self.invalid, alpha=alpha)


def contrasts(table: TrialTable, invalid: Mapping[str, str], named: Iterable[Named]) -> tuple[Contrast, ...]:
    """Every arm except the baseline, under every condition, on every metric that has a better direction.

    `named` lists the contrasts that claims use. On each metric they are one family, and all other contrasts
    are another; each contrast is tested, and its interval printed, at the level that Holm's procedure gives
    it. A metric that the study needs is listed even if it was not measured: a contrast without data is
    `invalid`, never absent.
    """
    loaded, claimed = table.loaded, set(named)
    names = {loaded.study.primary, *table.values["metric"], *(name for name, _, _ in claimed)}
    questions = [
        ContrastQuestion(
            table=table, metric=name, arm=arm, condition=condition, invalid=invalid.get(arm.name, "")
        )
        for name in sorted(names)
        if metric(name).better != "neither"
        for condition in loaded.conditions
        for arm in loaded.arms[1:]
    ]
    return judged(questions, claimed)


def judged(
    questions: Sequence[ContrastQuestion], claimed: AbstractSet[Named] = frozenset()
) -> tuple[Contrast, ...]:
    """The verdict of each question. On each metric the questions that are in `claimed` are one family, and
    all others are another; Holm's procedure corrects each family.
    """
    raw = [question.estimated(ALPHA) for question in questions]
    adjusted = [
        contrast if alpha == ALPHA else replace(question.estimated(alpha), p_adjusted=p_adjusted)
        for question, contrast, (alpha, p_adjusted) in zip(
            questions, raw, _family_levels(raw, claimed), strict=True
        )
    ]
    return tuple(
        _decide(contrast, question.table) for question, contrast in zip(questions, adjusted, strict=True)
    )


def estimated(
    table: TrialTable,
    record: Metric,
    arms: tuple[Combination, Combination],
    condition: Combination,
    invalid: str = "",
    *,
    alpha: float = ALPHA,
) -> Contrast:
    """The first arm against the second with all numbers, but not decided yet: `undecided`, or `invalid` with
    the reason. Its intervals have the levels 1 − `alpha` and 1 − 2 `alpha`.
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
        alpha=alpha,
        verdict="invalid",
        relevant=False,
        reason=invalid,
    )
    try:
        sides = tuple(table.trials(record, side.name, condition) for side in arms)
        medians = replace(
            empty,
            value=float(np.nanmedian(list(sides[0].values()))),
            baseline_value=float(np.nanmedian(list(sides[1].values()))),
            verdict="invalid" if invalid else "undecided",
        )
        exploratory = table.loaded.study.design.exploratory
        if record.paired_over == "sentences":
            scored = _score_contrast(table, record, arms, condition, medians)
            return _between_checkpoints(table, arms, condition, scored)
        if record.exact or (record.exact_if_repeated and repeated(sides) and not exploratory):
            return _counted(medians, sides)
        by_ratios = record.compared_by == "ratios"
        paired = table.log_ratios if by_ratios else table.differences
        pairs = paired(record, arm.name, other.name, condition)
        diverged = table.diverged(record, (arm.name, other.name), condition)
    except IncomparableError as problem:
        return replace(empty, reason="; ".join(part for part in (invalid, str(problem)) if part))
    models = table.models(record)
    samples = replicates(pairs, models=models, unknown=diverged.both)
    lost = len(diverged.both) == len(pairs)
    # unknown pairs are ties for the direction: if that decides, so are they for the interval beside it
    ties = samples.p <= alpha
    outer, inner = (samples.interval(level, ties=ties) for level in (1 - alpha, 1 - 2 * alpha))
    t95 = samples.t_interval
    return replace(
        medians,
        reason=medians.reason or (LOST if lost else ""),
        n=samples.n,
        models=models,
        unknown=diverged.both,
        diverged=_divergence(table, (arm, other), diverged, len(pairs)),
        effect=effect_of(record, samples.estimate),
        p=samples.p,
        p_adjusted=samples.p,
        p_sign_flip=sign_flip_p(pairs) if record.paired_over == "seeds" else None,
        low=effect_of(record, outer.low),
        high=effect_of(record, outer.high),
        low90=effect_of(record, inner.low),
        high90=effect_of(record, inner.high),
        t_low=effect_of(record, t95.low),
        t_high=effect_of(record, t95.high),
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
        key = (record.name, arms[0].name, arms[1].name, condition.name)
        if key not in table.compared_scores:
            table.compared_scores[key] = compare_scores(arm, other)
        difference = table.compared_scores[key]
    except ValueError as problem:
        raise IncomparableError(str(problem)) from None
    outer, inner = difference.interval(1 - empty.alpha), difference.interval(1 - 2 * empty.alpha)
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
        low=to_effect(outer.low),
        high=to_effect(outer.high),
        low90=to_effect(inner.low),
        high90=to_effect(inner.high),
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


def _between_checkpoints(
    table: TrialTable, arms: tuple[Combination, Combination], condition: Combination, scored: Contrast
) -> Contrast:
    """The contrast without a decision, if the arms differ in how they were trained and there are too few
    trainings: the texts of two checkpoints say nothing about two ways of training.
    """
    seeds = table.loaded.study.design.seeds
    if seeds >= FEWEST_MODELS or not trained_apart(table.loaded.tasks, arms, condition):
        return scored
    return replace(
        scored,
        open="this is only the effect between these checkpoints, because the arms are trained differently, "
        f"and {count(seeds, 'training')} of each cannot decide (at least {FEWEST_MODELS} are needed)",
    )


def effect_of(record: Metric, value: float) -> float:
    """The effect that belongs to a value on the scale of the pairs: a ratio, or the difference itself."""
    return value if record.compared_by == "differences" else safe_exp(value)


def _divergence(
    table: TrialTable, arms: tuple[Combination, Combination], diverged: Diverged, seeds: int
) -> str:
    """`diverged on 3 of 8 seeds, the other arm on 2, both on 1`; empty if no training diverged."""
    if not diverged.arm and not diverged.other:
        return ""
    arm, other = (table.loaded.label(side.name) for side in arms)
    return (
        f"{arm} diverged on {diverged.arm} of {count(seeds, 'seed')}, {other} on {diverged.other}, "
        f"both on {len(diverged.both)}"
    )


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


def _family_levels(raw: list[Contrast], named: AbstractSet[Named]) -> list[tuple[float, float]]:
    """For each contrast the level at which Holm's procedure tests it, and its adjusted p.

    Invalid contrasts stay in their family, so a missing row never makes it smaller. Exact counts need no
    test.
    """
    families: dict[tuple[str, bool], dict[str, float]] = {}
    for index, contrast in enumerate(raw):
        claimed = (contrast.metric, contrast.arm, canonical_json(contrast.condition)) in named
        if not contrast.reason.endswith(COUNTED):
            families.setdefault((contrast.metric, claimed), {})[str(index)] = contrast.p
    levels = [(ALPHA, contrast.p) for contrast in raw]
    for family in families.values():
        adjusted = holm(family)
        for name, level in holm_levels(family, alpha=ALPHA).items():
            levels[int(name)] = level, adjusted[name]
    return levels


def _decide(contrast: Contrast, table: TrialTable) -> Contrast:
    if contrast.verdict != "undecided" or contrast.reason == LOST:
        return contrast
    if contrast.open and not table.loaded.study.design.exploratory:
        return replace(contrast, reason=contrast.open)
    record, member = metric(contrast.metric), contrast_member(contrast, table.loaded.baseline.name)
    if record.timed and table.open:
        return replace(contrast, reason=table.open)
    margin, alpha = scale(record, contrast.margin), contrast.alpha
    differs = member.differs <= alpha
    if member.identical and (member.counted or _same_outputs(contrast, table)):
        return replace(contrast, verdict="identical")
    if table.loaded.study.design.exploratory and not member.counted:
        return replace(contrast, reason="exploratory: the effect is shown without a verdict")
    if member.same(margin) <= alpha:
        return replace(
            contrast, verdict="equivalent", reason="real but negligible" if differs else contrast.reason
        )
    if not differs:
        why = _why_undecided(contrast)
        return replace(contrast, reason=f"{why}; {contrast.diverged}" if contrast.diverged else why)
    relevant = member.outside(-margin, margin) <= alpha
    reason = contrast.reason if relevant else "the difference may be smaller than the margin"
    return replace(contrast, verdict=_direction(contrast.effect, record), relevant=relevant, reason=reason)


def _same_outputs(contrast: Contrast, table: TrialTable) -> bool:
    condition = next(c for c in table.loaded.conditions if c.names == contrast.condition)
    arms = (contrast.arm, table.loaded.baseline.name)
    return table.same_outputs(metric(contrast.metric), arms, condition)


def _why_undecided(contrast: Contrast) -> str:
    if contrast.p > ALPHA:
        return "the interval includes zero difference"
    return "not significant after Holm's correction over this family of contrasts"


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
