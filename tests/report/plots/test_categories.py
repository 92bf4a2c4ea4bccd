"""Memory by category: medians of each arm, drawn as parts of a bar."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.report.inputs import ReportInput, ReportSamples
from harness.report.plots.categories import CATEGORY_METRICS, TOTAL, category_plots, draw_categories
from tests.report.synthetic import frame_of, study, synthetic_report

MIB = 1024.0**2


def planted(*missing: str) -> ReportInput:
    """A report in which category number i of trial t has i + t MiB."""
    declared = study(compare={"cache": ["none", "static"]}, across={}, claims={}, design={"rounds": 3})
    report = synthetic_report(declared, steps=1)
    frame = frame_of(report)
    trials = frame.drop_duplicates("trial")
    parts = [
        trials.assign(metric=name, value=(number + trials["trial"]) * MIB)
        for number, name in enumerate((*CATEGORY_METRICS, TOTAL))
        if name not in missing
    ]
    return replace(report, samples=ReportSamples.from_frame(pd.concat([frame, *parts])))


def test_a_row_has_the_median_of_each_category() -> None:
    report = planted()
    (plot,) = category_plots(report)
    trials = frame_of(report).drop_duplicates("trial")
    for row, arm in zip(plot.rows, ("cache=none", "cache=static"), strict=True):
        middle = float(np.median(trials.loc[trials["arm"] == arm, "trial"]))
        assert row.medians == tuple((number + middle) * MIB for number in range(5))
        assert row.total == (5 + middle) * MIB
        assert row.n == 3


def test_there_is_no_plot_unless_every_category_was_measured() -> None:
    assert category_plots(planted("activation_bytes")) == []
    assert len(category_plots(planted(TOTAL))) == 1


def test_parts_of_a_bar_follow_each_other() -> None:
    (plot,) = category_plots(planted())
    axes = draw_categories(plot).axes[0]
    ends: dict[float, float] = {}
    for bar in axes.patches:
        height, start = bar.get_y(), bar.get_x()  # type: ignore[attr-defined]
        assert start == pytest.approx(ends.get(height, 0.0))
        ends[height] = start + bar.get_width()  # type: ignore[attr-defined]
    assert sorted(ends.values()) == pytest.approx(sorted(sum(row.medians) / MIB for row in plot.rows))
