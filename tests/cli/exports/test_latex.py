"""LaTeX tables compile: numbers are what siunitx reads, and every other text is escaped."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.results import Contrast
from harness.cli.exports.latex import latex_number, latex_table
from harness.cli.exports.macros import tex_macros
from tests.report.synthetic import synthetic_report

NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")
HOSTILE = r"50% of_a & b #1 $x$ ^2 ~ \input{/etc/passwd} {"


@pytest.fixture(scope="module")
def contrasts() -> tuple[Contrast, ...]:
    return synthetic_report().analysis.contrasts


def rows(table: str) -> list[list[str]]:
    body = table.partition("\\midrule\n")[2].partition("\\bottomrule")[0]
    return [re.split(r"(?<!\\) & ", line.removesuffix(r" \\")) for line in body.splitlines()]


def test_a_row_has_a_number_in_each_numeric_column(contrasts: tuple[Contrast, ...]) -> None:
    table = latex_table(contrasts)
    layout = re.search(r"\\begin\{tabular\}\{(\w+)\}", table)
    assert layout is not None
    assert layout[1] == "llllSSSSSSl"
    assert len(rows(table)) == len(contrasts) > 3
    for row in rows(table):
        assert len(row) == len(layout[1])
        numeric = [cell for cell, column in zip(row, layout[1], strict=True) if column == "S"]
        assert all(NUMBER.fullmatch(cell) for cell in numeric)


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, math.inf), (-math.inf, math.inf), (math.inf, math.inf), (1.5, math.inf), (math.nan, math.nan)],
)
def test_an_interval_without_ends_is_a_dash_with_a_note(
    contrasts: tuple[Contrast, ...], low: float, high: float
) -> None:
    table = latex_table([replace(contrasts[0], low=low, high=high)])
    assert rows(table)[0][7:9] == ["{--}", "{--}"]
    assert "infty" not in table
    assert "-- stands for an interval with an end that is not finite" in table
    assert "stands for an interval" not in latex_table(contrasts)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12_300.4, "12300"),
        (2.333, "2.33"),
        (-0.00012, "-0.00012"),
        (3e-9, "3e-09"),
        (math.inf, r"{$\infty$}"),
        (math.nan, "{--}"),
    ],
)
def test_a_number_is_one_that_siunitx_reads(value: float, text: str) -> None:
    assert latex_number(value) == text
    assert text.startswith("{") or NUMBER.fullmatch(text)


def test_texts_of_a_study_are_no_commands(contrasts: tuple[Contrast, ...]) -> None:
    hostile = replace(contrasts[0], arm=HOSTILE, condition={HOSTILE: HOSTILE})
    (row,) = rows(latex_table([hostile]))
    assert len(row) == 11
    assert r"\input" not in row[2]
    assert re.search(r"(?<!\\)[%&#_]", row[2]) is None


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_tables_and_macros_compile(contrasts: tuple[Contrast, ...], tmp_path: Path) -> None:
    hostile = replace(contrasts[0], arm=HOSTILE, low=0.0, high=math.inf)
    document = (
        "\\documentclass{article}\\usepackage{booktabs}\\usepackage{siunitx}\n"
        f"{tex_macros([synthetic_report()])}\\begin{{document}}\n{latex_table([hostile, *contrasts])}"
        "\\num{\\KvCacheKvSpeedupN} \\KvCacheKvSpeedupEffect\\end{document}\n"
    )
    (tmp_path / "page.tex").write_text(document)
    subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"], cwd=tmp_path, check=True
    )
