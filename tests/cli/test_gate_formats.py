"""What a gate says, for people and for other tools: names of benchmarks are text and never markup."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from harness.cli.gate_formats import markdown, rows_of, smaller_is_better
from harness.gate.decide import BenchmarkFinding
from harness.gate.result import GateResult, result_of

FINDINGS = (
    BenchmarkFinding(name="a", state="within", ratio=1.0, low=0.99, high=1.01, rounds=8),
    BenchmarkFinding(name="b", state="regressed", ratio=1.1, low=1.08, high=1.12, margin=0.025, rounds=8),
    BenchmarkFinding(name="c", state="new", reason="the baseline does not have it"),
)


def test_markdown_begins_with_what_did_not_pass() -> None:
    lines = markdown(result_of(FINDINGS)).splitlines()
    assert lines[0] == "**regressed**: `b regressed or vanished`"
    assert lines[4:] == [
        "| `b` | regressed | 1.100 × | 1.080 to 1.120 × | 2.5 % |",
        "| `c` | new | – | – | 5 % |",
        "| `a` | within | 1.000 × | 0.990 to 1.010 × | 5 % |",
    ]


def test_markdown_ends_with_the_warnings() -> None:
    result = replace(result_of(FINDINGS), warnings=("a is <b>slower</b>",))
    assert markdown(result).endswith("\n\n- warning: `a is <b>slower</b>`\n")


@pytest.mark.parametrize(
    "name",
    [
        "a|b",
        "a\\|b",
        "`code` ``x``",
        "<img src=x onerror=alert(1)>",
        "<!-- a comment",
        "[a](https://example.org)",
        "@somebody https://example.org www.example.org #1",
        "line\nline\r\u2028line",
        "\u202edetrever\x1b[31m",
        "**bold** ~~gone~~ __x__",
        "password=hunter2",
    ],
)
def test_hostile_names_stay_in_their_cell(name: str) -> None:
    finding = BenchmarkFinding(name=name, state="regressed", ratio=1.1, low=1.1, high=1.1, rounds=8)
    text = markdown(GateResult(verdict="regressed", reason=name, findings=(finding,)))
    lines = text.splitlines()
    assert len(lines) == 5
    assert lines[4].count("|") == 6, "five cells"
    assert lines[4].count("`") == lines[0].count("`") == 2, "one piece of code, in which nothing is markup"
    assert lines[4].startswith("| `")
    assert "`" in lines[4].split(" | ")[0][3:]
    assert text.isprintable() or "\x1b" not in text
    assert "\u202e" not in text
    assert "hunter2" not in text


def test_the_json_of_other_tools_has_finite_numbers_only() -> None:
    infinite = BenchmarkFinding(
        name="d", state="undecided", ratio=1.2, low=-math.inf, high=math.inf, rounds=2
    )
    rows = json.loads(smaller_is_better(result_of((*FINDINGS, infinite))), parse_constant=pytest.fail)
    assert [row["name"] for row in rows] == ["a", "b", "d"]
    assert rows[1] == {
        "name": "b",
        "unit": "× baseline",
        "value": 1.1,
        "range": "1.080 to 1.120 ×",
        "extra": "regressed",
    }


def test_rows_say_why() -> None:
    rows = rows_of(result_of(FINDINGS))
    assert [row["reason"] for row in rows] == ["", "", "the baseline does not have it"]
    assert [row["ratio"] for row in rows] == ["1.000 ×", "1.100 ×", "–"]
