"""docs/reference.md is the page that the command writes, and its links lead to tables in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.cli.reference_page import reference_page
from harness.invariants.registry import INVARIANTS
from harness.metrics import METRICS
from harness.study.claims import FORMS
from harness.tasks.registry import TASKS

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


@pytest.fixture(scope="module")
def page() -> str:
    return reference_page()


def test_the_committed_page_is_current(page: str) -> None:
    """Update with `harness describe --markdown > docs/reference.md`."""
    assert PAGE.read_text(encoding="utf-8") == page


def test_the_page_has_everything(page: str) -> None:
    headings = set(re.findall(r"^### (.*)$", page, re.MULTILINE))
    assert {f"Task {name}" for name in TASKS} | {f"Claim {form}" for form in FORMS} <= headings
    first_cells = {
        row.split(" | ")[0].removeprefix("| ") for row in page.splitlines() if row.startswith("| ")
    }
    assert set(METRICS) | set(INVARIANTS) <= first_cells


def test_every_group_of_settings_has_one_table(page: str) -> None:
    headings = [line.lstrip("#").strip() for line in page.splitlines() if line.startswith("#")]
    anchors = [heading.lower().replace(" ", "-") for heading in headings]
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= set(anchors)


def test_a_row_has_as_many_cells_as_its_table(page: str) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        cells = [len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()]
        assert len(set(cells)) == 1, table
