"""What trials used over time, by the telemetry: load of the CPU and the GPU, power, energy and memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from harness.report.inputs import ReportInput
from harness.report.labels import arm_labels, legend_title
from harness.report.plots.style import MOST_LINES, WIDE, arm_colours, legend_above, legend_height, panel

BINS = 60
"""The time of a trial is divided into so many parts of equal length, over the longest trial of the run."""

GIB = 1024.0**3


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """`columns` of the telemetry give the values; the first column that was recorded is used. With `rate` a
    value is the increase per second.
    """

    title: str
    unit: str
    columns: tuple[str, ...]
    factor: float = 1.0
    rate: bool = False


QUANTITIES = (
    Quantity(title="CPU load (100 % is one core)", unit="%", columns=("cpu_percent",)),
    Quantity(title="resident memory", unit="GiB", columns=("rss_bytes",), factor=GIB),
    Quantity(title="GPU utilisation", unit="%", columns=("gpu_utilisation",), factor=0.01),
    Quantity(title="GPU memory", unit="GiB", columns=("gpu_process_bytes", "gpu_memory_bytes"), factor=GIB),
    Quantity(title="GPU power", unit="W", columns=("gpu_power_w",)),
    Quantity(title="GPU energy since the start", unit="J", columns=("gpu_energy_j",)),
    Quantity(title="CPU power", unit="W", columns=("cpu_energy_j",), rate=True),
    Quantity(title="CPU energy since the start", unit="J", columns=("cpu_energy_j",)),
)


@dataclass(frozen=True, kw_only=True)
class ResourceLine:
    """`points` are (seconds since the start of the trial, median over the trials, lowest, highest). `n`
    counts the trials.
    """

    label: str
    points: tuple[tuple[float, float, float, float], ...]
    n: int


@dataclass(frozen=True, kw_only=True)
class ResourcePlot:
    """`labels` are those of all arms, in the order of their colours, and `legend` says what they are."""

    quantity: Quantity
    labels: tuple[str, ...]
    legend: str
    lines: tuple[ResourceLine, ...]


def resource_plots(report: ReportInput) -> list[ResourcePlot]:
    """One plot per quantity that was recorded, over the measured trials of the first arms. An arm has no line
    if its trials have too little in common.
    """
    arms = report.samples.measured[["trial", "arm"]].drop_duplicates()
    labels = arm_labels(report.loaded)
    shown = list(labels)[:MOST_LINES]
    telemetry = report.telemetry.merge(arms[arms["arm"].isin(shown)], on="trial", how="inner")
    plots = []
    for quantity in QUANTITIES:
        values = _values(telemetry, quantity)
        if values.empty:
            continue
        width = float(values["t_seconds"].max()) / BINS or 1.0
        by_arm = dict(iter(values.groupby("arm")))
        lines = [_line(labels[arm], by_arm[arm], width) for arm in shown if arm in by_arm]
        lines = [line for line in lines if line.points]
        if not lines:
            continue
        plots.append(
            ResourcePlot(
                quantity=quantity,
                labels=tuple(labels.values()),
                legend=legend_title(report.loaded),
                lines=tuple(lines),
            )
        )
    return plots


def _values(telemetry: pd.DataFrame, quantity: Quantity) -> pd.DataFrame:
    """The columns trial, arm, t_seconds and value, without what was not recorded."""
    for name in quantity.columns:
        if name in telemetry and telemetry[name].notna().any():
            frame = telemetry[["trial", "arm", "t_seconds"]].assign(
                value=telemetry[name].astype(np.float64) / quantity.factor
            )
            return _rates(frame.dropna()) if quantity.rate else frame.dropna()
    return pd.DataFrame(columns=["trial", "arm", "t_seconds", "value"])


def _rates(frame: pd.DataFrame) -> pd.DataFrame:
    """The increase per second since the sample before. The first sample of a trial has none."""
    by_trial = frame.groupby("trial", sort=False)
    seconds = by_trial["t_seconds"].diff()
    rates = frame.assign(value=by_trial["value"].diff() / seconds.where(seconds > 0))
    return rates.dropna()


def _line(label: str, values: pd.DataFrame, width: float) -> ResourceLine:
    """The median over the trials of each trial's mean in every part of the time in which at least half of
    them have a value.
    """
    part = np.minimum((values["t_seconds"] / width).astype(int), BINS - 1)
    means = values.assign(part=part).groupby(["part", "trial"])["value"].mean()
    trials = values["trial"].nunique()
    by_part = means.groupby("part").agg(["median", "min", "max", "size"])
    by_part = by_part[2 * by_part.pop("size") >= trials]
    return ResourceLine(
        label=label,
        points=tuple(
            ((index + 0.5) * width, median, low, high)
            for index, median, low, high in by_part.itertuples(name=None)
        ),
        n=trials,
    )


def draw_resources(plot: ResourcePlot) -> Figure:
    colours = arm_colours(plot.labels)
    names = {line.label: f"{line.label} (n = {line.n})" for line in plot.lines}
    above = legend_height(list(names.values()), title=plot.legend)
    with panel(width=WIDE, height=2.3 + above) as (figure, axes):
        for line in plot.lines:
            x, median, low, high = (list(column) for column in zip(*line.points, strict=True))
            colour = colours[line.label]
            axes.plot(
                x, median, color=colour, linewidth=1.6, marker="o", markersize=2, label=names[line.label]
            )
            axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel("seconds since the start of the trial")
        axes.set_ylabel(f"{plot.quantity.title.partition(' (')[0]} ({plot.quantity.unit})")
        legend_above(axes, title=plot.legend)
        return figure
