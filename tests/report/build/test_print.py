"""Long tables on paper: no row is divided between two pages, and each page repeats the names of columns."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.report.build import write_report
from tests.report.chromium import opened
from tests.report.synthetic import study, synthetic_report, with_trials

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROUNDS = 80
ONLY_TRIALS = """
document.querySelectorAll('main > :not(#trials)').forEach(one => one.remove());
document.querySelector('nav').remove();
"""


@pytest.fixture(scope="module")
def pages(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The texts of the printed pages of the section of trials, which has one table with many rows."""
    if shutil.which("pdftotext") is None:
        pytest.skip("needs pdftotext (poppler-utils)")
    folder = tmp_path_factory.mktemp("print")
    declared = study(
        compare={"cache": ["none", "static"]}, across={}, claims={}, invariants=[], design={"rounds": ROUNDS}
    )
    report = with_trials(synthetic_report(declared, steps=1), started_at="2031-05-06T07:08:09Z")
    remarks = {
        row.id: f"remark {row.id}, " + "which needs several lines of its row on paper " * 6
        for row in report.trials
    }
    trials = tuple(replace(row, notes={"remark": remarks[row.id]}) for row in report.trials)
    write_report([replace(report, trials=trials)], folder / "report.html")
    page = opened(browser, folder / "report.html", 1280)
    page.evaluate(ONLY_TRIALS)
    page.pdf(path=folder / "report.pdf", format="A4")
    page.context.close()
    subprocess.run(["pdftotext", "-layout", "report.pdf", "report.txt"], cwd=folder, check=True)
    return [text for text in (folder / "report.txt").read_text(encoding="utf-8").split("\f") if text.strip()]


def rows_of(page: str) -> list[int]:
    """The numbers of the trials that begin on this page."""
    return [int(number) for number in re.findall(r"^\s*(\d+)\s+finished\b", page, re.MULTILINE)]


def test_every_page_names_the_columns(pages: list[str]) -> None:
    with_rows = [page for page in pages if rows_of(page)]
    assert len(with_rows) > 2
    assert sorted(number for page in with_rows for number in rows_of(page)) == list(range(1, 2 * ROUNDS + 1))
    assert all(re.search(r"^\s*trial\s+state\b", page, re.MULTILINE) for page in with_rows)


def test_a_row_ends_on_the_page_on_which_it_begins(pages: list[str]) -> None:
    """The last cell of a row is the id of its trial."""
    for page in pages:
        ids = re.findall(r"\bt2-", page)
        assert len(ids) == len(rows_of(page))
