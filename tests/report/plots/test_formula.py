"""The line of a formula between the measured conditions, and markers where it cannot be computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.models.cost import cache_bytes
from harness.report.plots.formula import draw_formula, formula_line, formula_plots
from harness.study.loaded import LoadedStudy
from tests.report.synthetic import synthetic_report
from tests.support.tiny_study import loaded

FORMULA, ARM = "cache_bytes_formula", "cache=dynamic"


def points(study: LoadedStudy) -> pd.DataFrame:
    """What trials of the tiny study record: the formula at each of its conditions."""
    at = {
        float(condition.names["new_tokens"]): study.tasks[ARM, condition.name].closed_form(FORMULA)
        for condition in study.conditions
    }
    return pd.DataFrame({"x": list(at), "formula": list(at.values())})


def test_the_line_is_the_formula_at_every_whole_number_of_the_axis(tmp_path: Path) -> None:
    study = loaded(tmp_path)
    line = dict(formula_line(study, FORMULA, ARM, "new_tokens", points(study)))
    assert sorted(line) == list(range(8, 33))
    task = study.tasks[ARM, "new_tokens=8"]
    for new_tokens in (8, 11, 24, 32):
        exact = cache_bytes(
            task.model.decoder,  # type: ignore[attr-defined]
            task.cache,  # type: ignore[attr-defined]
            batch=2,
            prompt=8,
            new_tokens=new_tokens,
            bytes_per_value=4,
        )
        assert line[float(new_tokens)] == exact


def test_there_is_no_line_if_it_would_miss_a_recorded_value(tmp_path: Path) -> None:
    study = loaded(tmp_path)
    other = points(study).assign(formula=lambda frame: frame["formula"] + 1)
    assert formula_line(study, FORMULA, ARM, "new_tokens", other) == ()
    assert formula_line(study, "cache_bytes", ARM, "new_tokens", points(study)) == ()


@pytest.mark.parametrize("line", [(), ((16.0, 1.0), (20.0, 5.0), (256.0, 9.0))])
def test_without_a_line_there_are_markers_and_no_segments(line: tuple[tuple[float, float], ...]) -> None:
    plot = replace(formula_plots(synthetic_report())[1], line=line)
    (drawn,) = draw_formula(plot).axes[0].lines
    assert np.asarray(drawn.get_xdata()).tolist() == ([x for x, _ in line] or [16.0, 64.0, 256.0])
    assert (drawn.get_linestyle(), drawn.get_marker()) == (("-", "None") if line else ("None", "_"))
