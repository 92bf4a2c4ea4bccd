"""Markdown tables: a dash and a note for an interval without finite ends."""

from __future__ import annotations

import math
from dataclasses import replace

from harness.cli.exports.markdown import markdown_table
from tests.report.synthetic import synthetic_report


def test_no_interval_is_infinity_to_infinity() -> None:
    contrasts = synthetic_report().analysis.contrasts
    diverged = replace(contrasts[0], effect=math.inf, low=math.inf, high=math.inf)
    table = markdown_table([diverged, *contrasts[1:]])
    assert "∞ to" not in table
    assert "| ∞ × | 95 % | – | 10 |" in table
    assert table.rstrip().endswith("or a training diverged.")
    assert "stands for" not in markdown_table(contrasts)
