"""The heat map of a factorial design: a median and a number of trials in each cell."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from harness.report.inputs import ReportInput, ReportSamples
from harness.report.plots.heat_map import draw_heat_map, heat_maps
from tests.report.synthetic import PRIMARY, frame_of, study, synthetic_report

DESIGN = {"arms": "factorial", "rounds": 3}


def factorial(compare: dict[str, Any], design: dict[str, Any] = DESIGN) -> ReportInput:
    return synthetic_report(study(compare=compare, across={}, claims={}, design=design), steps=1)


TWO = {"cache": ["none", "static"], "depth": [2, 4, 8]}


def test_a_cell_is_the_median_of_its_arm() -> None:
    report = factorial(TWO)
    (plot,) = heat_maps(report)
    assert plot.axes == ("depth", "cache")
    assert plot.levels == (("2", "4", "8"), ("none", "static"))
    frame = frame_of(report)
    speeds = frame[frame["metric"] == PRIMARY].groupby("arm")["value"].median()
    for y, cache in enumerate(("none", "static")):
        for x, depth in enumerate((2, 4, 8)):
            assert plot.cells[y][x] == (speeds[f"cache={cache}, depth={depth}"], 3)


def test_there_is_no_map_of_other_designs() -> None:
    assert heat_maps(factorial(TWO, {"rounds": 3})) == []
    assert heat_maps(factorial({"cache": ["none", "static"]})) == []
    assert heat_maps(factorial(TWO | {"norm": ["pre", "post"]})) == []


def test_a_cell_without_a_finite_median_is_empty_and_counted() -> None:
    report = factorial(TWO)
    frame = frame_of(report)
    lost = (frame["arm"] == "cache=static, depth=8") & (frame["metric"] == PRIMARY)
    frame = frame.assign(value=frame["value"].mask(lost, math.inf))
    (plot,) = heat_maps(replace(report, samples=ReportSamples.from_frame(frame)))
    assert plot.cells[1][2] is None
    assert plot.left_out == 3
    texts = [text.get_text() for text in draw_heat_map(plot).axes[0].texts]
    assert len(texts) == 6
    assert texts[-1] == "–"
    assert all(text.endswith("(n = 3)") for text in texts[:-1])
