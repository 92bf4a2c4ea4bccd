"""Figures as SVG and PDF files: complete by themselves, and the same bytes each time."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.cli.exports.figures import write_figures
from harness.report.build import render
from tests.report.synthetic import synthetic_report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    for form in ("svg", "pdf"):
        write_figures([synthetic_report()], form, folder)
    return folder


def test_every_figure_of_the_page_is_a_file(folder: Path) -> None:
    names = set(re.findall(r'<svg[^>]* aria-labelledby="(\S+)-title', render(synthetic_report())))
    assert len(names) > 5
    assert {path.stem for path in folder.glob("*.svg")} == names
    assert {path.stem for path in folder.glob("*.pdf")} == names


def test_a_file_has_real_colours_and_needs_nothing_else(folder: Path) -> None:
    for path in folder.glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(" not in text
        assert 'href="http' not in text


def test_equal_figures_are_equal_bytes_without_dates(folder: Path, tmp_path: Path) -> None:
    for form in ("svg", "pdf"):
        for path in write_figures([synthetic_report()], form, tmp_path):
            assert path.read_bytes() == (folder / path.name).read_bytes()
    (first, *_) = folder.glob("*.pdf")
    assert first.read_bytes().startswith(b"%PDF-")
    assert b"CreationDate" not in first.read_bytes()
