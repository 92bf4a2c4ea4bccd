"""The comparison: one table per condition and one row per arm, with the effect, the verdict and the
medians.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.analysis.results import ALPHA, ArmSummary, Contrast
from harness.metrics import Metric, known_metrics
from harness.report.inputs import ReportInput
from harness.report.labels import (
    ArmName,
    Badge,
    NumberCell,
    arm_name,
    badge,
    condition_key,
    condition_title,
    metric_of,
)
from harness.report.sections.pairs import pair_anchors
from harness.wording import effect_text, full_text, interval_text, level_text, margin_text, precise_text

_SAME = ("identical", "equivalent")
_ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}


@dataclass(frozen=True, kw_only=True)
class Column:
    """An `extra` metric is neither the primary one nor that of a claim."""

    label: str
    arrow: str
    hint: str
    extra: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """`invalid` says why the arm does not count; it is empty for a valid arm. `same` says that the verdict
    found no difference from the baseline.
    """

    arm: ArmName
    baseline: bool
    invalid: str
    same: bool
    effect: NumberCell
    interval: str
    verdict: Badge | None
    note: str
    cells: tuple[NumberCell, ...]


@dataclass(frozen=True, kw_only=True)
class ContrastRow:
    metric: str
    arm: ArmName
    same: bool
    n: int
    effect: NumberCell
    level: str
    interval: NumberCell
    inner_interval: NumberCell
    t_interval: NumberCell
    p: NumberCell
    p_sign_flip: NumberCell
    p_adjusted: NumberCell
    margin: NumberCell
    verdict: Badge
    relevant: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Block:
    anchor: str
    title: str
    rows: tuple[Row, ...]
    contrasts: tuple[ContrastRow, ...]


@dataclass(frozen=True, kw_only=True)
class ComparisonView:
    """`effect` is `ratio` or `difference`. `baseline` is the full name of the baseline if the rows show only
    a short label.
    """

    primary: str
    effect: str
    paired: str
    baseline: str
    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]


def comparison_view(report: ReportInput) -> ComparisonView:
    primary = report.loaded.study.primary
    measured = {summary.metric for summary in report.analysis.summaries}
    deciding = _deciding(report)
    names = [*deciding, *(name for name in known_metrics() if name in measured - set(deciding))]
    names += sorted(measured - set(names))
    metrics = [metric_of(name) for name in names]
    anchors, blocks = pair_anchors(report), []
    for number, condition in enumerate(report.loaded.conditions, start=1):
        key = condition_key(condition)
        summaries = {
            (s.arm, s.metric): s for s in report.analysis.summaries if condition_key(s.condition) == key
        }
        contrasts = [c for c in report.analysis.contrasts if condition_key(c.condition) == key]
        on_primary = {c.arm: c for c in contrasts if c.metric == primary}
        samples = report.anchor("samples", number)
        rows = tuple(
            _row(
                report,
                arm.name,
                on_primary.get(arm.name),
                anchors.get((primary, arm.name, key), samples),
                tuple(
                    _cell(summaries, arm.name, m, anchors.get((m.name, arm.name, key), samples))
                    for m in metrics
                ),
            )
            for arm in report.loaded.arms
        )
        ordered = sorted(contrasts, key=lambda c: names.index(c.metric) if c.metric in names else len(names))
        blocks.append(
            Block(
                anchor=report.anchor("comparison", number),
                title=condition_title(report.loaded, condition.names),
                rows=rows,
                contrasts=tuple(
                    _contrast_row(report, c, anchors.get((c.metric, c.arm, key), samples)) for c in ordered
                ),
            )
        )
    columns = tuple(
        Column(label=m.label, arrow=_ARROWS[m.better], hint=_hint(m), extra=m.name not in deciding)
        for m in metrics
    )
    record = metric_of(primary)
    return ComparisonView(
        primary=record.label,
        effect="ratio" if record.compared_by == "ratios" else "difference",
        paired=_interval_name(record, report.loaded.study.design.seeds),
        baseline=arm_name(report.loaded, report.loaded.baseline.name).title,
        columns=columns,
        blocks=tuple(blocks),
    )


def _deciding(report: ReportInput) -> list[str]:
    """The primary metric and those of the claims, if they were measured."""
    study, measured = report.loaded.study, {summary.metric for summary in report.analysis.summaries}
    claimed = [name for claim in study.claims.values() for name in claim.metrics(study.primary)]
    return [study.primary, *(name for name in dict.fromkeys(claimed) if name in measured - {study.primary})]


def _interval_name(record: Metric, seeds: int) -> str:
    if record.paired_over != "sentences":
        return "signed-rank"
    return "bootstrap" if seeds == 1 else "variance-component"


def _hint(metric: Metric) -> str:
    direction = "" if metric.better == "neither" else f"; {metric.better} is better"
    return f"{metric.summary}{direction}"


def _cell(
    summaries: Mapping[tuple[str, str], ArmSummary], arm: str, metric: Metric, samples: str
) -> NumberCell:
    summary = summaries.get((arm, metric.name))
    if summary is None:
        return NumberCell(text="–", value="nan", hint="not measured")
    lowest, highest = metric.format(summary.lowest), metric.format(summary.highest)
    hint = f"median of {summary.trials} trials, {lowest} to {highest}"
    return NumberCell(
        text=metric.format(summary.median), value=full_text(summary.median), hint=hint, samples=samples
    )


def _row(
    report: ReportInput, arm: str, contrast: Contrast | None, pairs: str, cells: tuple[NumberCell, ...]
) -> Row:
    baseline = arm == report.loaded.baseline.name
    record = metric_of(report.loaded.study.primary)
    note = "" if contrast is None else contrast.reason
    if contrast is not None and contrast.verdict in ("better", "worse") and contrast.relevant:
        note = note or f"beyond {margin_text(contrast.margin, record.compared_by)}".replace(" ", "\u00a0")
    return Row(
        arm=arm_name(report.loaded, arm),
        baseline=baseline,
        invalid=report.analysis.invalid.get(arm, ""),
        same=contrast is not None and contrast.verdict in _SAME,
        effect=_effect(record, contrast, pairs, baseline=baseline),
        interval="" if baseline or contrast is None else _interval(contrast, record),
        verdict=None if contrast is None else badge(contrast.verdict),
        note=note,
        cells=cells,
    )


def _effect(record: Metric, contrast: Contrast | None, pairs: str, *, baseline: bool = False) -> NumberCell:
    """The effect, with what it rests on as the hint."""
    if baseline:
        return NumberCell(text=precise_text(record.neutral), value=full_text(record.neutral), hint="")
    if contrast is None:
        return NumberCell(text="–", value="nan", hint="not measured")
    interval = interval_text(contrast.low, contrast.high, record.compared_by)
    medians = " and ".join(record.format(value) for value in (contrast.value, contrast.baseline_value))
    return NumberCell(
        text=effect_text(contrast.effect, record.compared_by),
        value=full_text(contrast.effect),
        hint=f"n = {contrast.n}; {level_text(1 - contrast.alpha)} interval {interval}; "
        f"medians of the arm and the baseline {medians}",
        samples=pairs,
    )


def _interval(contrast: Contrast, record: Metric) -> str:
    """The interval, with its level if that is not 95 %."""
    interval = interval_text(contrast.low, contrast.high, record.compared_by)
    return interval if contrast.alpha == ALPHA else f"{interval} ({level_text(1 - contrast.alpha)})"


def _contrast_row(report: ReportInput, contrast: Contrast, pairs: str) -> ContrastRow:
    record = metric_of(contrast.metric)
    return ContrastRow(
        metric=record.label,
        arm=arm_name(report.loaded, contrast.arm),
        same=contrast.verdict in _SAME,
        n=contrast.n,
        effect=_effect(record, contrast, pairs),
        level=level_text(1 - contrast.alpha),
        interval=_between(record, contrast.low, contrast.high),
        inner_interval=_between(record, contrast.low90, contrast.high90),
        t_interval=_between(record, contrast.t_low, contrast.t_high),
        p=_probability(contrast.p),
        p_sign_flip=_probability(contrast.p_sign_flip),
        p_adjusted=_probability(contrast.p_adjusted),
        margin=NumberCell(
            text=margin_text(contrast.margin, record.compared_by), value=full_text(contrast.margin), hint=""
        ),
        verdict=badge(contrast.verdict),
        relevant="yes" if contrast.relevant else "no",
        reason=contrast.reason,
    )


def _between(record: Metric, low: float, high: float) -> NumberCell:
    text = interval_text(low, high, record.compared_by)
    return NumberCell(text=text, value=f"{full_text(low)} to {full_text(high)}", hint="")


def _probability(p: float | None) -> NumberCell:
    return (
        NumberCell(text="–", value="nan", hint="")
        if p is None
        else NumberCell(text=f"{p:.3g}", value=full_text(p), hint="")
    )
