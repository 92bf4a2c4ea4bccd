"""Scales that are wrong, or that nobody asked for."""

from __future__ import annotations

from pathlib import Path

from tests.study.load.refusals import Spoilt, cases, refusal, refusal_of_spoilt
from tests.support.tiny_study import STUDY, put, spoilt

REFUSED: tuple[Spoilt, ...] = (
    (
        "scales that are none",
        "scales:\n  smoke:\n    design: {rounds: 2, exploratory: true}\n    across: {new_tokens: [8, 32]}\n",
        "scales: 3\n",
        "26:9: scales: expected a mapping of names to settings, found 3",
    ),
    (
        "a scale that is none",
        "  smoke:\n    design: {rounds: 2, exploratory: true}\n    across: {new_tokens: [8, 32]}\n",
        "  smoke: 3\n",
        "27:10: scales.smoke: expected a mapping, found 3",
    ),
    (
        "a misspelt key of a scale",
        "    design: {rounds: 2",
        "    desing: {rounds: 2",
        "28:5: unknown key 'desing' (at scale smoke); did you mean 'design'?",
    ),
    (
        "a misspelt key in a scale",
        "exploratory: true",
        "exploratry: true",
        "28:25: unknown key 'exploratry' in design (at scale smoke); did you mean 'exploratory'?",
    ),
    (
        "a scale that renames the study",
        "    across: {new_tokens: [8, 32]}",
        "    study: other",
        "29:5: a scale cannot change the name of its study",
    ),
    (
        "a claim that a scale invents",
        "    across: {new_tokens: [8, 32]}",
        "    claims: {fst: {ratio: 3.0}}",
        "29:14: missing key 'source' in claims.fst (at scale smoke); and 1 more problem",
    ),
    (
        "parts of a scale of a study without them",
        "    across: {new_tokens: [8, 32]}",
        "    parts: {cost: {}}",
        "29:5: the study has no parts, so a scale cannot have parts",
    ),
)


@cases(REFUSED)
def test_scales_that_are_wrong(old: str, new: str, message: str) -> None:
    assert refusal_of_spoilt(old, new) == message


def test_an_unknown_scale() -> None:
    put(Path())
    assert (
        refusal(scale="smok")
        == "studies/tiny.yaml:26:1: there is no scale 'smok' in this study; did you mean 'smoke'?"
    )


def test_a_scale_that_is_not_asked_for_is_checked_too() -> None:
    put(Path(), spoilt(STUDY, "across: {new_tokens: [8, 32]}", "across: {new_tokens: [8, 48]}"))
    assert (
        refusal(scale="cpu")
        == "studies/tiny.yaml:22:22: new_tokens has no level '32' (at scale smoke); known: 48, 8"
    )


def test_scales_that_are_empty_are_pointed_at_by_their_key() -> None:
    put(Path(), STUDY[: STUDY.index("  smoke:")])
    assert refusal() == "studies/tiny.yaml:26:1: scales: expected a mapping of names to settings, found null"
