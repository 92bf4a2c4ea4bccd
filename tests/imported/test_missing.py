"""What a file does not show stands beside every verdict."""

from __future__ import annotations

from pathlib import Path

from harness.imported import FileAnalysis
from tests.imported.results import analysed, losses, rows

ALWAYS = ["not randomised", "declared after the data", "parity unknown", "order unknown"]


def lacking(analysis: FileAnalysis) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for what, meaning in analysis.missing:
        kinds.setdefault(what, []).append(meaning)
    return kinds


def test_four_things_are_missing_in_every_file(tmp_path: Path) -> None:
    analysis = analysed(tmp_path, rows(losses({"a": 1.0, "b": 0.97}, 8)), lower=("loss",))
    assert [what for what, _ in analysis.missing] == ALWAYS


def test_unpaired_trials_are_counted_by_arm(tmp_path: Path) -> None:
    lines = rows(losses({"a": 1.0, "b": 0.97, "c": 0.97}, 8))
    lines = [line for line in lines if not line.startswith(("a,0,", "b,2,", "b,3,"))]
    unpaired = lacking(analysed(tmp_path, lines, lower=("loss",)))["unpaired"]
    assert [text.partition(";")[0] for text in unpaired] == [
        "1 seed of 'b' left out, because 'a' lacks it: 0",
        "2 seeds of 'a' left out, because 'b' lacks them: 2, 3",
        "1 seed of 'c' left out, because 'a' lacks it: 0",
    ]
    assert all("if those trials failed" in text for text in unpaired)


def test_many_unpaired_trials_are_counted_and_not_listed(tmp_path: Path) -> None:
    lines = [*rows(losses({"a": 1.0}, 20)), *rows(losses({"b": 1.0}, 8))[1:]]
    (text,) = lacking(analysed(tmp_path, lines, lower=("loss",)))["unpaired"]
    assert "12 seeds of 'a'" in text
    assert ": 8, 9, 10, 11, 12 and 7 more;" in text


def test_trials_that_agree_in_every_metric_are_named_with_their_lines(tmp_path: Path) -> None:
    lines = ["arm,seed,hits,misses"]
    lines += [f"{arm},{seed},{seed // 2 + 1},{seed // 2 + 5}" for arm in "ab" for seed in range(6)]
    (text,) = lacking(analysed(tmp_path, lines))["duplicates"]
    assert "(lines 2 and 3, 4 and 5, 6 and 7, 8 and 9, 10 and 11 and 1 more)" in text


def test_metrics_that_were_left_out_or_are_several_are_named(tmp_path: Path) -> None:
    values = losses({"a": 1.0, "b": 0.97}, 8)
    lines = [
        f"{line},{line[-3:]}1,{'' if number == 4 else 1},x" for number, line in enumerate(rows(values)[1:])
    ]
    kinds = lacking(analysed(tmp_path, ["arm,seed,loss,time,hole,text", *lines], lower=("loss", "time")))
    assert kinds["metric left out"] == ["'hole' is empty (line 6)"]
    assert "each of 2 metrics is a family of its own" in kinds["several metrics"][0]


def test_a_margin_that_is_wider_than_a_study_allows_is_named(tmp_path: Path) -> None:
    lines = rows(losses({"a": 1.0, "b": 0.97}, 8))
    assert "wide margin" not in lacking(analysed(tmp_path, lines, margins={"loss": 0.03}, lower=("loss",)))
    assert "wide margin" in lacking(analysed(tmp_path, lines, margins={"loss": 0.031}, lower=("loss",)))
