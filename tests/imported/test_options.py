"""Options that contradict each other are bad input."""

from __future__ import annotations

import pytest

from harness.errors import InputError
from harness.imported.options import FileOptions, margin_options, pair_option


def test_margins_are_numbers_by_name() -> None:
    assert margin_options(["loss=0.01", "a=b=2"]) == {"loss": 0.01, "a=b": 2.0}


@pytest.mark.parametrize("text", ["loss", "loss=", "=1", "loss=x", "loss=nan", "loss=inf"])
def test_a_margin_that_is_not_one_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="NAME=VALUE"):
        margin_options([text])


def test_a_margin_is_given_once() -> None:
    with pytest.raises(InputError, match="twice for 'loss'"):
        margin_options(["loss=0.01", "loss=0.05"])


def test_pairs_are_by_seed_or_by_round() -> None:
    assert pair_option(None) is None
    assert pair_option(("round", "repeat")) == ("round", "repeat")
    with pytest.raises(InputError, match="by seed or by round"):
        pair_option(("day", "date"))


def test_a_metric_has_one_direction() -> None:
    with pytest.raises(InputError, match="'loss' is given to --lower and to --higher"):
        FileOptions(lower=("loss",), higher=("loss",))


@pytest.mark.parametrize("margin", [0.0, -1.0, 100.0])
def test_the_margin_of_a_ratio_is_a_fraction(margin: float) -> None:
    with pytest.raises(InputError, match="margin of 'loss'"):
        FileOptions(margins={"loss": margin})
    if margin > 0:
        assert FileOptions(margins={"bleu": margin}, difference=("bleu",)).named == ("bleu",)
