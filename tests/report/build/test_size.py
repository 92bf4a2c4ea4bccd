"""The size of the page of an ordinary study of trainings, read from a real store."""

from __future__ import annotations

from pathlib import Path

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
TRAININGS = patched(
    TUNED,
    (GRID, "  seeds: 8\n"),
    ("updates: 4", "updates: 200"),
    ("[1.0, 0.5, 0.25, 2.0]", "[1.0, 0.5, 0.25]"),
)


def test_the_page_of_24_trainings_with_200_updates_is_below_2_mb(tmp_path: Path) -> None:
    file = put(tmp_path, TRAININGS)
    with open_store(tmp_path / "harness.db") as store:
        run = invent_run(store, file, outcome=training_outcome)
        [loaded] = load_study(file)
        report = report_input(store, loaded, run)
        assert report.run.finished_trials == 24
        assert report.samples.total > 24 * 200 * 9
        page = render(report)
    size = len(page.encode())
    assert size < 2_000_000
    assert f"There are {report.samples.total:,} samples, which are too many for this page" in page
