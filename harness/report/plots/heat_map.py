"""A heat map of the metric over the levels of two factors, for designs that combine all levels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from harness.report.inputs import ReportInput
from harness.report.labels import condition_key, metric_of, short_labels
from harness.report.plots.style import WIDE, Plot, panel, scale_of
from harness.study.levels import level_name
from harness.visible import visible

MOST_CELLS = 144
"""A map with more cells would not be legible."""


@dataclass(frozen=True, kw_only=True)
class HeatMap(Plot):
    """`axes` are the titles of the factors along x and y, and `levels` their labels. `cells` has a row per
    level along y: (median, number of trials), or None where there is no arm or no finite median.
    """

    where: str
    axes: tuple[str, str]
    levels: tuple[tuple[str, ...], tuple[str, ...]]
    cells: tuple[tuple[tuple[float, int] | None, ...], ...]


def heat_maps(report: ReportInput) -> list[HeatMap]:
    """One map per condition of the primary metric. There is none unless the design is factorial with exactly
    two factors.
    """
    loaded = report.loaded
    study, names = loaded.study, loaded.names
    if study.design.arms != "factorial" or len(study.compare) != 2:
        return []
    sizes = {factor: [level_name(level) for level in levels] for factor, levels in study.compare.items()}
    along, up = sorted(sizes, key=lambda factor: -len(sizes[factor]))
    if len(sizes[along]) * len(sizes[up]) > MOST_CELLS:
        return []
    arms = {(arm.names.get(along), arm.names.get(up)): arm.name for arm in loaded.arms}
    values = report.values[report.values["metric"] == study.primary]
    maps = []
    for condition in loaded.conditions:
        here = values[values["condition"] == condition_key(condition)]
        by_arm = {arm: part["value"].astype(float) for arm, part in here.groupby("arm")}
        cells, left_out = [], 0
        for y in sizes[up]:
            row: list[tuple[float, int] | None] = []
            for x in sizes[along]:
                part = by_arm.get(arms.get((x, y), ""))
                median = math.nan if part is None else float(part.median(skipna=False))
                row.append((median, len(part)) if part is not None and math.isfinite(median) else None)
                left_out += 0 if part is None or math.isfinite(median) else len(part)
            cells.append(tuple(row))
        if any(cell for row in cells for cell in row):
            maps.append(
                HeatMap(
                    metric=study.primary,
                    where=names.condition(condition.names) if condition.names else "",
                    axes=(names.titled(along), names.titled(up)),
                    levels=(
                        tuple(short_labels(visible(names.bare_level(along, one)) for one in sizes[along])),
                        tuple(short_labels(visible(names.bare_level(up, one)) for one in sizes[up])),
                    ),
                    cells=tuple(cells),
                    left_out=left_out,
                )
            )
    return maps


def draw_heat_map(plot: HeatMap) -> Figure:
    record = metric_of(plot.metric)
    known = [cell[0] for row in plot.cells for cell in row if cell]
    scale = scale_of(record, known)
    low, high = min(known) / scale.factor, max(known) / scale.factor
    shade = LogNorm(low, high) if low > 0 and high > 3 * low else Normalize(low, high)
    columns, rows = map(len, plot.levels)
    with panel(width=WIDE, height=1.2 + 0.42 * rows) as (figure, axes):
        numbers = [[cell[0] / scale.factor if cell else math.nan for cell in row] for row in plot.cells]
        axes.imshow(numbers, cmap="Blues", norm=shade, aspect="auto", alpha=0.8)
        for y, row in enumerate(plot.cells):
            for x, cell in enumerate(row):
                dark = bool(cell) and shade(numbers[y][x]) > 0.55
                text = f"{numbers[y][x]:.4g}\n(n = {cell[1]})" if cell else "–"
                axes.text(x, y, text, ha="center", va="center", color="white" if dark else "#14171b")
        axes.set_xticks(range(columns), labels=plot.levels[0])
        axes.set_yticks(range(rows), labels=plot.levels[1])
        axes.set_xlabel(plot.axes[0])
        axes.set_ylabel(plot.axes[1])
        axes.grid(visible=False)
        axes.set_title(f"{scale.axis_label(record)}" + (f", {plot.where}" if plot.where else ""))
        return figure
