"""Telemetry over the time of the trials, aggregated per arm, and what nobody recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.report.inputs import ReportInput
from harness.report.plots.resources import BINS, draw_resources, resource_plots
from harness.report.sections.resources import resources_view
from tests.report.synthetic import study, synthetic_report


def planted(rounds: int = 3, **columns: object) -> ReportInput:
    """A report on two arms. A sample per second for a minute; `columns` are functions of trial and second."""
    declared = study(compare={"cache": ["none", "static"]}, across={}, claims={}, design={"rounds": rounds})
    report = synthetic_report(declared, steps=1)
    rows = [
        {"trial": trial, "t_seconds": float(second)}
        | {name: value(trial, second) for name, value in columns.items()}  # type: ignore[operator]
        for trial in sorted(report.samples.measured["trial"].unique())
        for second in range(61)
    ]
    return replace(report, telemetry=pd.DataFrame(rows))


def test_a_line_is_the_median_of_the_trials_and_its_band_their_range() -> None:
    report = planted(cpu_percent=lambda trial, second: 100.0 * trial + second)
    (plot,) = resource_plots(report)
    trials = report.samples.measured.drop_duplicates("trial")
    for line, arm in zip(plot.lines, ("cache=none", "cache=static"), strict=True):
        mine = sorted(trials.loc[trials["arm"] == arm, "trial"])
        assert line.n == 3
        assert len(line.points) == BINS
        x, *levels = line.points[7]
        assert x == pytest.approx(7.5)
        assert levels == [100.0 * number + 7 for number in (mine[1], mine[0], mine[2])]


def test_power_is_the_increase_of_energy() -> None:
    plots = resource_plots(planted(cpu_energy_j=lambda _, second: 30.0 * second))
    power, energy = plots
    assert (power.quantity.title, energy.quantity.title) == ("CPU power", "CPU energy since the start")
    assert {median for _, median, _, _ in power.lines[0].points} == {30.0}
    assert energy.lines[0].points[-1][1] == pytest.approx((59 + 60) / 2 * 30)


def test_values_that_were_not_recorded_are_left_out_and_named() -> None:
    report = planted(cpu_percent=lambda _, __: 50.0, gpu_power_w=lambda _, __: None)
    view = resources_view(report)
    assert view is not None
    assert len(view.figures[0].panels) == 1
    gpu, others = view.missing
    assert gpu.startswith("There is no telemetry of GPU utilisation, GPU memory, GPU power")
    assert gpu.endswith("(no NVIDIA driver on this machine).")
    assert others == "There is no telemetry of resident memory, CPU power, CPU energy since the start."


def test_a_run_without_telemetry_has_no_figure() -> None:
    view = resources_view(replace(planted(), telemetry=pd.DataFrame({"trial": [], "t_seconds": []})))
    assert view is not None
    assert view.figures == ()
    assert len(view.missing) == 2


def test_the_drawing_begins_at_zero_and_says_how_many_trials() -> None:
    (plot,) = resource_plots(planted(gpu_utilisation=lambda _, __: 0.5))
    axes = draw_resources(plot).axes[0]
    assert axes.get_ylabel() == "GPU utilisation (%)"
    assert axes.get_ylim()[0] == 0
    assert [line.get_label() for line in axes.lines] == ["none (n = 3)", "static (n = 3)"]
    assert set(np.asarray(axes.lines[0].get_ydata()).tolist()) == {50.0}


def test_a_line_ends_where_most_trials_have_ended() -> None:
    report = planted(cpu_percent=lambda _, second: float(second))
    telemetry = report.telemetry
    long = report.samples.measured.drop_duplicates("arm")["trial"]
    kept_rows = telemetry["trial"].isin(long) | (telemetry["t_seconds"] < 30)
    (plot,) = resource_plots(replace(report, telemetry=telemetry[kept_rows]))
    assert [line.points[-1][0] for line in plot.lines] == pytest.approx([29.5, 29.5])


def test_an_arm_whose_trials_have_no_time_in_common_has_no_line() -> None:
    """Each trial was looked at once, and never at the same second as another one."""
    report = planted()
    trials = sorted(report.samples.measured["trial"].unique())
    rows = [{"trial": trial, "t_seconds": 10.0 * trial, "cpu_percent": 50.0} for trial in trials]
    assert resource_plots(replace(report, telemetry=pd.DataFrame(rows))) == []
