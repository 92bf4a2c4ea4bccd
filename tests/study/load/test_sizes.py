"""Studies of allowed length whose content could cost any amount of time."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.study.load import load_study
from tests.study.refused_in_time import refused
from tests.support.tiny_study import RECIPE, STUDY, TUNED, put, spoilt

GRID = "      optimizer.lr: [1e-4, 1e-3, 1e-2]\n"
TUNE = TUNED[TUNED.index("  tune:") : TUNED.index("primary:")]
RATES = ", ".join(f"{number + 1}e-6" for number in range(200))

STUDIES = {
    "scales": (STUDY + "".join(f"  s{i}: {{}}\n" for i in range(1000)), "the study has more than 20 scales"),
    "parts": (
        "study: tiny\nparts:\n" + "".join(f"  p{i}: {{}}\n" for i in range(1000)),
        "more than 50 parts",
    ),
    "unknown keys": (STUDY + "".join(f"k{i}: 1\n" for i in range(2000)), "unknown key 'k0'"),
    "unknown keys of claims": (
        spoilt(STUDY, "claims:\n", "claims:\n" + "".join(f"  c{i}: {{sourc: a}}\n" for i in range(1000))),
        "unknown key 'sourc' in claims.c0; did you mean 'source'?, and 999 more problems",
    ),
    "unknown keys of a scale": (
        STUDY + "  big: {base: {" + ", ".join(f"k{i}: 1" for i in range(2000)) + "}}\n",
        "unknown key 'k0' (at scale big)",
    ),
    "claims that a scale leaves out": (
        spoilt(
            STUDY,
            "claims:\n",
            "claims:\n" + "".join(f"  c{i}: {{holds: cache-parity}}\n" for i in range(800)),
        )
        + "  big: {claims: {"
        + ", ".join(f"c{i}: null" for i in range(800))
        + "}}\n",
        "missing key 'source' in claims.c0",
    ),
    "factors": (
        spoilt(
            STUDY,
            "  cache: [none, dynamic, static]\n",
            "  cache: [none, dynamic, static]\n" + "".join(f"  k{i}: [a, b]\n" for i in range(400)),
        )
        + "when: {"
        + ", ".join(f"k{i}: {{k{i + 1}: a}}" for i in range(399))
        + "}\n",
        "the study has more than 50 factors",
    ),
    "candidates": (
        spoilt(TUNED, GRID, f"{GRID.rstrip()[:-1]}, {RATES}]\n      optimizer.eps: [{RATES}]\n"),
        "the grid has 40,600 candidates, more than 1,000",
    ),
    "candidates of arms": (
        spoilt(TUNED, GRID, f"{GRID}      optimizer.eps: [{RATES}]\n")
        .replace("[1.0, 0.5, 0.25, 2.0]", str([1.0 + number for number in range(10)]))
        .replace("seeds: 7", "seeds: 9"),
        "600 candidates for each of 10 arms and conditions are more than 5,000",
    ),
    "choices": (
        spoilt(
            TUNED,
            TUNE,
            f"search:\n  space: {{optimizer.lr: {{choices: [{RATES}, 1, 2]}}, "
            f"optimizer.eps: {{choices: [{RATES}]}}}}\n",
        ),
        "the space has 402 choices, and at most 256 are allowed",
    ),
    "parameters": (
        spoilt(
            TUNED,
            TUNE,
            "search:\n  space: {" + ", ".join(f"k{i}: {{low: 1, high: 2}}" for i in range(600)) + "}\n",
        ),
        "the space has more than 50 parameters",
    ),
    "steps": (
        spoilt(TUNED, TUNE, "search:\n  space: {optimizer.lr: {low: 0.0, high: 1e+308, step: 1e-300}}\n"),
        "has more than 100,000 steps of 1e-300; use larger steps, or leave `step` out",
    ),
    "whole numbers": (
        spoilt(
            TUNED,
            TUNE,
            "search:\n  space: {updates: {low: -9000000000000000000, high: 9000000000000000000}}\n",
        ),
        "has more than 9,007,199,254,740,992 whole numbers",
    ),
    "recipes": (
        spoilt(STUDY, "  cache: none\n", "  cache: [" + "{recipe: small}, " * 1000 + "]\n"),
        "more than 100 recipes are named",
    ),
    "arms and conditions": (
        spoilt(
            spoilt(STUDY, "[8, 16, 32]", str(list(range(1, 900)))),
            "[none, dynamic, static]",
            f"[none, dynamic]\n  batch: {list(range(1, 900))}",
        ),
        "the study has 900 arms under 899 conditions each, more than 5,000 together",
    ),
}


@pytest.mark.parametrize(("text", "message"), STUDIES.values(), ids=STUDIES.keys())
def test_a_study_is_refused_in_time(tmp_path: Path, text: str, message: str) -> None:
    """What is done with the text costs time in proportion to it."""
    path = put(tmp_path, text)
    assert message in refused(lambda: load_study(path))


def test_large_recipes_are_not_copied_without_end(tmp_path: Path) -> None:
    names = "".join(f"k{i}: 1\n" for i in range(2000))
    text = spoilt(STUDY, "  cache: none\n", "  cache: [" + "{recipe: small}, " * 90 + "]\n")
    path = put(tmp_path, text, recipe=RECIPE + names)
    assert "with its recipes, the study has more than 10,000 values" in refused(lambda: load_study(path))
