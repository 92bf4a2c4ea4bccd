"""Tests of samples as CSV."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from harness.analysis.csv_text import csv_text
from harness.analysis.frames import SAMPLE_COLUMNS

TEXTS = ["plain", "a,b", 'a "quoted" word', "two\nlines", "", None, " space "]
VALUES = [0.1, -0.0, 1e300, 5e-324, math.inf, -math.inf, math.nan, 3.0, 123456789.123456789]


def frame(rows: int) -> pd.DataFrame:
    """Trials with texts that need quotes, with several metrics and values of every kind."""
    columns = {
        "trial": [number // 10 for number in range(rows)],
        "arm": [TEXTS[number // 10 % len(TEXTS)] for number in range(rows)],
        "factor": [TEXTS[number // 20 % len(TEXTS)] for number in range(rows)],
        "seed": [number // 30 for number in range(rows)],
        "metric": ["loss" if number % 10 < 4 else "tokens" for number in range(rows)],
        "step": [number % 10 for number in range(rows)],
        "value": [VALUES[number % len(VALUES)] for number in range(rows)],
        "unit": ["" if number % 10 < 4 else "tokens/s, really" for number in range(rows)],
    }
    return pd.DataFrame(columns)


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("rows", [1, 4, 203])
def test_the_text_is_that_of_pandas(rows: int, *, header: bool) -> None:
    samples = frame(rows)
    assert csv_text(samples, header=header) == samples.to_csv(index=False, header=header, lineterminator="\n")


def test_columns_may_follow_the_value() -> None:
    samples = frame(40)[["trial", "metric", "step", "value", "unit", "arm", "factor"]]
    assert csv_text(samples) == samples.to_csv(index=False, lineterminator="\n")


def test_without_samples_there_is_only_a_header() -> None:
    samples = pd.DataFrame(columns=SAMPLE_COLUMNS)
    assert csv_text(samples) == ",".join(SAMPLE_COLUMNS) + "\n"
    assert csv_text(samples, header=False) == ""
