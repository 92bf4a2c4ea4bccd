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
    arm_name,
    badge,
    condition_key,
    condition_title,
    metric_of,
)
from harness.wording import effect_text, interval_text, level_text, margin_text, precise_text

_ARROWS = {"higher": "↑", "lower": "↓", "neither": ""}


@dataclass(frozen=True, kw_only=True)
class Column:
    label: str
    arrow: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    text: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """`invalid` says why the arm does not count; it is empty for a valid arm."""

    arm: ArmName
    baseline: bool
    invalid: str
    effect: str
    interval: str
    verdict: Badge | None
    note: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class ContrastRow:
    metric: str
    arm: ArmName
    n: int
    effect: str
    level: str
    interval: str
    inner_interval: str
    t_interval: str
    p: str
    p_sign_flip: str
    p_adjusted: str
    margin: str
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
    names = [primary, *(name for name in known_metrics() if name in measured and name != primary)]
    names += sorted(measured - set(names))
    metrics = [metric_of(name) for name in names]
    blocks = []
    for number, condition in enumerate(report.loaded.conditions, start=1):
        key = condition_key(condition)
        summaries = {
            (s.arm, s.metric): s for s in report.analysis.summaries if condition_key(s.condition) == key
        }
        contrasts = [c for c in report.analysis.contrasts if condition_key(c.condition) == key]
        decisive = {c.arm: c for c in contrasts if c.metric == primary}
        rows = tuple(
            _row(
                report,
                arm.name,
                decisive.get(arm.name),
                tuple(_cell(summaries, arm.name, m) for m in metrics),
            )
            for arm in report.loaded.arms
        )
        ordered = sorted(contrasts, key=lambda c: names.index(c.metric) if c.metric in names else len(names))
        blocks.append(
            Block(
                anchor=report.anchor("comparison", number),
                title=condition_title(condition.names),
                rows=rows,
                contrasts=tuple(_contrast_row(report, contrast) for contrast in ordered),
            )
        )
    columns = tuple(Column(label=m.label, arrow=_ARROWS[m.better], hint=_hint(m)) for m in metrics)
    record = metric_of(primary)
    return ComparisonView(
        primary=record.label,
        effect="ratio" if record.compared_by == "ratios" else "difference",
        paired=_interval_name(record, report.loaded.study.design.seeds),
        baseline=arm_name(report.loaded, report.loaded.baseline.name).title,
        columns=columns,
        blocks=tuple(blocks),
    )


def _interval_name(record: Metric, seeds: int) -> str:
    if record.paired_over != "sentences":
        return "signed-rank"
    return "bootstrap" if seeds == 1 else "variance-component"


def _hint(metric: Metric) -> str:
    direction = "" if metric.better == "neither" else f"; {metric.better} is better"
    return f"{metric.summary}{direction}"


def _cell(summaries: Mapping[tuple[str, str], ArmSummary], arm: str, metric: Metric) -> Cell:
    summary = summaries.get((arm, metric.name))
    if summary is None:
        return Cell(text="–", hint="not measured")
    lowest, highest = metric.format(summary.lowest), metric.format(summary.highest)
    hint = f"median of {summary.trials} trials, {lowest} to {highest}"
    return Cell(text=metric.format(summary.median), hint=hint)


def _row(report: ReportInput, arm: str, contrast: Contrast | None, cells: tuple[Cell, ...]) -> Row:
    baseline = arm == report.loaded.baseline.name
    record = metric_of(report.loaded.study.primary)
    note = "" if contrast is None else contrast.reason
    if contrast is not None and contrast.verdict in ("better", "worse") and contrast.relevant:
        note = note or f"beyond {margin_text(contrast.margin, record.compared_by)}".replace(" ", "\u00a0")
    return Row(
        arm=arm_name(report.loaded, arm),
        baseline=baseline,
        invalid=report.analysis.invalid.get(arm, ""),
        effect=precise_text(record.neutral)
        if baseline
        else "–"
        if contrast is None
        else effect_text(contrast.effect, record.compared_by),
        interval="" if baseline or contrast is None else _interval(contrast, record),
        verdict=None if contrast is None else badge(contrast.verdict),
        note=note,
        cells=cells,
    )


def _interval(contrast: Contrast, record: Metric) -> str:
    """The interval, with its level if that is not 95 %."""
    interval = interval_text(contrast.low, contrast.high, record.compared_by)
    return interval if contrast.alpha == ALPHA else f"{interval} ({level_text(1 - contrast.alpha)})"


def _contrast_row(report: ReportInput, contrast: Contrast) -> ContrastRow:
    record = metric_of(contrast.metric)
    return ContrastRow(
        metric=record.label,
        arm=arm_name(report.loaded, contrast.arm),
        n=contrast.n,
        effect=effect_text(contrast.effect, record.compared_by),
        level=level_text(1 - contrast.alpha),
        interval=interval_text(contrast.low, contrast.high, record.compared_by),
        inner_interval=interval_text(contrast.low90, contrast.high90, record.compared_by),
        t_interval=interval_text(contrast.t_low, contrast.t_high, record.compared_by),
        p=f"{contrast.p:.3g}",
        p_sign_flip="–" if contrast.p_sign_flip is None else f"{contrast.p_sign_flip:.3g}",
        p_adjusted=f"{contrast.p_adjusted:.3g}",
        margin=margin_text(contrast.margin, record.compared_by),
        verdict=badge(contrast.verdict),
        relevant="yes" if contrast.relevant else "no",
        reason=contrast.reason,
    )
