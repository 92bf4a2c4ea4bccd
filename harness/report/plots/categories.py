"""The peak memory of an update by category: parameters, gradients, optimizer, activations and the rest."""

from __future__ import annotations

import math
from dataclasses import dataclass

from matplotlib.figure import Figure

from harness.report.inputs import ReportInput
from harness.report.labels import arm_labels, condition_key, metric_of
from harness.report.plots.style import INK, PALETTE, WIDE, legend_above, legend_height, panel, scale_of

CATEGORY_METRICS = ("parameter_bytes", "gradient_bytes", "optimizer_bytes", "activation_bytes", "other_bytes")
TOTAL = "peak_step_bytes"
_MARK = "peak of an update"


@dataclass(frozen=True, kw_only=True)
class CategoryRow:
    """`medians` has the bytes of each category. `total` is the peak of an update, NaN if it is not known."""

    label: str
    medians: tuple[float, ...]
    total: float
    n: int


@dataclass(frozen=True, kw_only=True)
class CategoryPlot:
    """`where` names the condition. It is empty in a study without conditions."""

    where: str
    rows: tuple[CategoryRow, ...]


def category_plots(report: ReportInput) -> list[CategoryPlot]:
    """One plot per condition, with the arms for which all categories were measured."""
    values = report.values[report.values["metric"].isin((*CATEGORY_METRICS, TOTAL))]
    plots = []
    for condition in report.loaded.conditions:
        here = values[values["condition"] == condition_key(condition)]
        rows = []
        for arm, label in arm_labels(report.loaded).items():
            by_metric = here[here["arm"] == arm].groupby("metric")["value"]
            medians, sizes = by_metric.median().to_dict(), by_metric.size().to_dict()
            if all(math.isfinite(medians.get(name, math.nan)) for name in CATEGORY_METRICS):
                rows.append(
                    CategoryRow(
                        label=label,
                        medians=tuple(float(medians[name]) for name in CATEGORY_METRICS),
                        total=float(medians.get(TOTAL, math.nan)),
                        n=int(sizes[CATEGORY_METRICS[0]]),
                    )
                )
        if rows:
            where = report.loaded.names.condition(condition.names) if condition.names else ""
            plots.append(CategoryPlot(where=where, rows=tuple(rows)))
    return plots


def draw_categories(plot: CategoryPlot) -> Figure:
    names = [metric_of(name).label.removesuffix(" bytes") for name in CATEGORY_METRICS]
    scale = scale_of(metric_of(TOTAL), [sum(row.medians) for row in plot.rows])
    above = legend_height([*names, _MARK])
    with panel(width=WIDE, height=0.9 + above + 0.3 * len(plot.rows)) as (figure, axes):
        heights, starts = range(len(plot.rows)), [0.0] * len(plot.rows)
        for number, name in enumerate(names):
            lengths = [row.medians[number] / scale.factor for row in plot.rows]
            axes.barh(heights, lengths, left=starts, height=0.62, color=PALETTE[number], label=name)
            starts = [start + length for start, length in zip(starts, lengths, strict=True)]
        axes.vlines(
            [row.total / scale.factor for row in plot.rows],
            [height - 0.4 for height in heights],
            [height + 0.4 for height in heights],
            color=INK,
            linewidth=1.8,
            label=_MARK,
        )
        axes.set_yticks(heights, labels=[f"{row.label} (n = {row.n})" for row in plot.rows])
        axes.set_ylim(len(plot.rows) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"peak of each category ({scale.unit})")
        axes.set_title(plot.where, pad=72 * above + 4)
        legend_above(axes)
        return figure
