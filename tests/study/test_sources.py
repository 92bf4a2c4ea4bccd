"""The short titles of sources are those of docs/sources.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.study.load import load_study
from harness.study.sources import SHORT_TITLES, citation, source_title

REPOSITORY = Path(__file__).parents[2]


def test_the_document_lists_the_same_sources() -> None:
    document = (REPOSITORY / "docs" / "sources.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\d{3}) \| ([^|]+) \|", document, flags=re.MULTILINE)
    assert dict(listed) == SHORT_TITLES
    sections = re.findall(r"^## (\d{3}): (.+)$", document, flags=re.MULTILINE)
    assert dict(sections) == SHORT_TITLES


@pytest.mark.parametrize(
    ("source", "cited"),
    [
        ("003", "TinyGPT, 003"),
        ("001 §5", "Language model report, 001 §5"),
        ("001 §5, 004", "Language model report, 001 §5; Lecture notes, 004"),
        ("–", "–"),
        ("Smith, 2020", "Smith, 2020"),
    ],
)
def test_titles_stand_before_ids(source: str, cited: str) -> None:
    assert citation(source) == cited


def test_a_source_that_is_not_listed_has_no_title() -> None:
    assert source_title("me") is None
    assert source_title("0033") is None


@pytest.mark.parametrize("path", sorted((REPOSITORY / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_studies_cite_listed_sources(path: Path) -> None:
    for part in load_study(path):
        for name, claim in part.study.claims.items():
            if claim.source != "–":
                assert all(source_title(document.strip()) for document in claim.source.split(",")), name
