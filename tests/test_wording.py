"""Numbers as people read them: the same number looks the same in a sentence, a table, the terminal and an
export.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import pytest

from harness.cli.console import CommandOutput
from harness.cli.exports.latex import latex_number, latex_table
from harness.cli.exports.markdown import markdown_table
from harness.report.build import render
from harness.report.inputs import ReportSamples
from harness.wording import (
    ComparedBy,
    at_condition,
    chosen_text,
    count,
    difference_text,
    effect_phrase,
    effect_text,
    format_bytes,
    format_seconds,
    interval_text,
    margin_text,
    n_text,
    number_text,
    precise_text,
    words,
)
from tests.analysis.planted import Planted, claim, contrast, growing
from tests.report.parsed import Page
from tests.report.synthetic import synthetic_report


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.3333, "2.33"),
        (1.0041, "1.004"),
        (0.9979, "0.998"),
        (0.012345, "0.0123"),
        (12345.6, "12,346"),
        (123.4, "123"),
        (999.7, "1,000"),
        (-999.7, "-1,000"),
        (3e13, "3e+13"),
        (0.0, "0"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (math.nan, "–"),
    ],
)
def test_a_number(value: float, text: str) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12345, "12,345"),
        (0.05, "0.05"),
        (27.3456789, "27.3457"),
        (1.0, "1"),
        (math.inf, "∞"),
        (math.nan, "–"),
    ],
)
def test_a_precise_number(value: float, text: str) -> None:
    assert precise_text(value) == text


@pytest.mark.parametrize(
    ("low", "high", "compared_by", "text"),
    [
        (2.1, 2.5, "ratios", "2.1 to 2.5 ×"),
        (8.312, 8.764, "ratios", "8.31 to 8.76 ×"),
        (0.0, math.inf, "ratios", "unbounded"),
        (0.995, 1.012, "ratios", "0.995 to 1.012 ×"),
        (1.2, math.inf, "ratios", "1.2 to ∞ ×"),
        (math.nan, math.nan, "ratios", "–"),
        (-0.3, 0.91, "differences", "-0.3 to +0.91"),
        (0.0, math.inf, "differences", "0 to ∞"),
        (-math.inf, math.inf, "differences", "unbounded"),
    ],
)
def test_an_interval(low: float, high: float, compared_by: ComparedBy, text: str) -> None:
    assert interval_text(low, high, compared_by) == text


@pytest.mark.parametrize(
    ("effect", "compared_by", "text", "phrase"),
    [
        (2.3333, "ratios", "2.33 ×", "2.33 ×"),
        (math.nan, "ratios", "–", "–"),
        (0.62, "differences", "+0.62", "0.62 above"),
        (-0.62, "differences", "-0.62", "0.62 below"),
        (0.0, "differences", "0", "no different from"),
        (math.inf, "differences", "∞", "∞ above"),
    ],
)
def test_an_effect_alone_and_in_a_sentence(
    effect: float, compared_by: ComparedBy, text: str, phrase: str
) -> None:
    assert effect_text(effect, compared_by) == text
    assert effect_phrase(effect, compared_by) == phrase


def test_a_difference_has_a_sign_and_a_margin_its_unit() -> None:
    assert [difference_text(value) for value in (0.5, -0.5, 0.0)] == ["+0.5", "-0.5", "0"]
    assert margin_text(0.05, "ratios") == "± 5 %"
    assert margin_text(0.5, "differences") == "± 0.5"


def test_counts_and_conditions() -> None:
    assert [count(1, "round"), count(2, "round"), count(1000, "trial")] == [
        "1 round",
        "2 rounds",
        "1,000 trials",
    ]
    assert words("new_tokens") == "new tokens"
    assert at_condition({"new_tokens": "64", "batch": "2"}) == " at new tokens 64, batch 2"
    assert at_condition({}) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1,023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (-2048, "-2 KiB"),
        (3 * 2**20, "3 MiB"),
        (2**40, "1,024 GiB"),
        (2**44, "16,384 GiB"),
    ],
)
def test_bytes_are_written_in_binary_units(value: float, text: str) -> None:
    assert format_bytes(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12.34, "12.3 s"),
        (1.0, "1 s"),
        (0.5, "500 ms"),
        (0.0123, "12.3 ms"),
        (4.2e-5, "42 µs"),
        (1e-9, "0.001 µs"),
        (0.0, "0 µs"),
        (-2.0, "-2 s"),
        (7200.0, "7,200 s"),
        (999.7, "1,000 s"),
    ],
)
def test_seconds_are_written_in_a_unit_that_fits(value: float, text: str) -> None:
    assert format_seconds(value) == text


def test_one_interval_looks_the_same_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    """In the sentence of a claim, the report's table, the terminal, JSON, Markdown and LaTeX."""
    planted = Planted(ratio=growing)
    frames, analysis = planted.frames(), planted.analysis()
    effect = contrast(analysis)
    text = interval_text(effect.low, effect.high)
    settled = claim(analysis, "kv-speedup")
    assert f"(95 % interval {text}, 10 rounds of one model)" in settled.sentence
    assert settled.interval == text

    report = synthetic_report(planted.loaded.study)
    report = replace(
        report, analysis=analysis, samples=ReportSamples.from_frame(frames.samples), trials=frames.trials
    )
    page = Page(render(report))
    assert text in page.by_id("claim-2-kv-speedup").text
    caption = page.by_id("comparison-3")
    table = next(element for element in page.elements if element in caption.ancestors[-1:])
    assert text in table.text
    assert "[" not in table.text

    row = {"claim": settled.id, **asdict(settled)}
    for output in (CommandOutput(), CommandOutput(json=True)):
        output.table([row], ["claim", "interval"])
        assert text in capsys.readouterr().out
    figures = json.loads(json.dumps(settled.row()))
    assert interval_text(figures["low"], figures["high"]) == text

    assert f"| {text} |" in markdown_table(analysis.contrasts)
    low, high = latex_number(effect.low), latex_number(effect.high)
    assert f"{low} to {high} ×" == text
    assert f"& {low} & {high} &" in latex_table(analysis.contrasts)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.02174413313130732, "0.02174"),
        (3e-5, "3e-5"),
        (1e-10, "1e-10"),
        (0.0001, "0.0001"),
        (64, "64"),
        (1234.56, "1,235"),
        (25_600, "25,600"),
        (9_999_999, "9,999,999"),
        (2.5e9, "2.5e9"),
        (-0.5, "-0.5"),
        (0, "0"),
    ],
)
def test_a_chosen_setting_has_four_digits(value: float, text: str) -> None:
    assert chosen_text(value) == text


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([1], " n = 1 pair."), ([7, 7], " n = 7 pairs."), ([1_200, 5], " n = 5 to 1,200 pairs.")],
)
def test_n_says_on_how_many_values_a_figure_rests(numbers: list[int], text: str) -> None:
    assert n_text(numbers, "pair") == text
