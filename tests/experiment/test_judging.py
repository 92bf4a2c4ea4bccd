"""From a claim, its contrast and the controls to the word of a judgement."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.analysis.results import ClaimVerdict, SettledClaim, Verdict
from harness.experiment.judging import verdict_of
from tests.analysis.planted import Planted, contrast

CONTRAST = contrast(Planted().analysis())


def word(
    verdict: ClaimVerdict,
    of_pair: Verdict = "better",
    *,
    alone: ClaimVerdict | None = None,
    moved: dict[str, str] | None = None,
) -> str:
    claim = SettledClaim(id="better", source="judge", says="", verdict=verdict, alone=alone, sentence="Why.")
    said, reason = verdict_of(claim, replace(CONTRAST, verdict=of_pair), moved or {})
    assert reason
    return said


@pytest.mark.parametrize(
    ("verdict", "of_pair", "expected"),
    [
        ("confirmed", "better", "better"),
        ("refuted", "equivalent", "equivalent"),
        ("refuted", "identical", "equivalent"),
        ("refuted", "worse", "worse"),
        ("refuted", "undecided", "not better"),
        ("undecided", "better", "undecided"),
        ("undecided", "undecided", "undecided"),
        ("invalid", "invalid", "invalid"),
    ],
)
def test_the_word_of_a_first_measurement(verdict: ClaimVerdict, of_pair: Verdict, expected: str) -> None:
    assert word(verdict, of_pair) == expected


@pytest.mark.parametrize(
    ("alone", "expected"),
    [("confirmed", "better"), ("refuted", "not better"), ("undecided", "undecided")],
)
def test_what_was_better_once_must_hold_in_the_measurement_after_it(
    alone: ClaimVerdict, expected: str
) -> None:
    assert word("confirmed", alone=alone) == expected


def test_more_data_do_not_turn_an_earlier_decision_into_better() -> None:
    assert word("undecided", alone="confirmed") == "undecided"
    assert word("refuted", "better", alone="confirmed") == "not better"


@pytest.mark.parametrize("verdict", ["confirmed", "refuted", "undecided", "invalid"])
def test_nothing_is_better_if_a_control_moved(verdict: ClaimVerdict) -> None:
    assert word(verdict, moved={"control_import": "differs"}) == "invalid"
