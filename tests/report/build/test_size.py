"""The size of the page of an ordinary study of trainings and of a very large one, read from a real store."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.report.build import render
from harness.report.source import report_input
from harness.store.store import open_store
from harness.study.load import load_study
from tests.support.invented_runs import invent_run, training_outcome
from tests.support.tiny_study import TUNED, patched, put

GRID = """\
  seeds: 7
  tune:
    grid:
      optimizer.lr: [1e-4, 1e-3, 1e-2]
"""
FEW_ARMS, MANY_ARMS = "[1.0, 0.5, 0.25]", str([number / 10 for number in range(1, 21)])


@pytest.mark.parametrize(
    ("arms", "seeds", "updates", "most"),
    [
        pytest.param(FEW_ARMS, 8, 200, 2.0, id="24 trainings with 200 updates"),
        pytest.param(MANY_ARMS, 10, 80, 2.0, id="200 trainings with 80 updates"),
        pytest.param(MANY_ARMS, 10, 2000, 2.1, id="200 trainings with 2,000 updates", marks=pytest.mark.slow),
        pytest.param("[1.0, 0.5]", 100, 80, 2.0, id="200 trainings of two arms"),
    ],
)
def test_the_page_is_small(tmp_path: Path, arms: str, seeds: int, updates: int, most: float) -> None:
    """At most so many MB."""
    study = patched(
        TUNED,
        (GRID, f"  seeds: {seeds}\n"),
        ("updates: 4", f"updates: {updates}"),
        ("[1.0, 0.5, 0.25, 2.0]", arms),
    )
    trainings = seeds * (arms.count(",") + 1)
    file = put(tmp_path, study)
    with open_store(tmp_path / "harness.db") as store:
        run = invent_run(store, file, outcome=training_outcome)
        [loaded] = load_study(file)
        report = report_input(store, loaded, run)
        assert report.run.finished_trials == trainings
        assert report.samples.total > trainings * updates * 9
        page = render(report)
    assert len(page.encode()) < most * 1e6
    assert f"There are {report.samples.total:,} samples, which are too many for this page" in page
