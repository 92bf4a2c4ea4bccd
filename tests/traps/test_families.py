"""Who was fooled: those who believed a region that any figure lies in, a margin that no difference leaves,
and a difference of a billionth.
"""

from __future__ import annotations

import pytest

from tests.analysis.claims.settled_claims import settled_training, training_claim_study
from tests.analysis.planted import Planted, claim, flat, study
from tests.study.claims.stated_claims import DECODING, TRAINING, check, refusal

RATIO = "level: {cache: dynamic}, at: {new_tokens: 16}, ratio: "


@pytest.mark.parametrize("region", ["1.0, within: 1000", "40, within: 39", "3.0, within: 2.01"])
def test_a_region_that_almost_any_figure_lies_in_needs_a_reason(region: str) -> None:
    """Trap 21."""
    assert refusal(DECODING, RATIO + region) == (
        f"it: a `within` of {region.split()[-1]} is more than 2, so that almost any figure would confirm the "
        "claim; say why with `because: …`, which is printed beside the verdict"
    )
    check(DECODING, f"{RATIO}{region}, because: the source gives only the order of magnitude")
    check(DECODING, f"{RATIO}3.0, within: 2.0")


def test_an_exponent_has_such_a_bound_too() -> None:
    wide = "level: {cache: dynamic}, over: new_tokens, exponent: 3.0, within: 1.5"
    assert refusal(DECODING, wide).startswith("it: a `within` of 1.5 is more than 1, so that")
    check(DECODING, f"{wide}, because: two sources disagree")


def test_the_reason_for_a_wide_region_or_margin_is_printed_beside_the_verdict() -> None:
    form = {"source": "x", "says": "So.", "level": {"cache": "dynamic"}}
    loaded = study(
        compare={"cache": ["none", "dynamic"]},
        across={"new_tokens": [256]},
        margins={"time": 0.9},
        margin_reasons={"time": "a sketch"},
        claims={
            "wide": {**form, "ratio": 6.0, "within": 3.0, "because": "only an order is known"},
            "same": {**form, "no_difference": True},
        },
    )
    result = Planted(loaded=loaded, ratio=flat(3.0)).analysis()
    assert claim(result, "wide").sentence.endswith("The region is wider than usual: only an order is known.")
    assert claim(result, "same").sentence.endswith("The margin of 0.9 is wider than usual: a sketch.")


@pytest.mark.parametrize(
    ("text", "stated", "name"),
    [
        (TRAINING, "level: {std: 0.01}, at: {depth: 2, kind: a}, metric: skipped_updates", "skipped_updates"),
        (DECODING, "level: {cache: dynamic}, at: {new_tokens: 16}, metric: cache_bytes", "cache_bytes"),
    ],
)
def test_a_claim_on_a_count_declares_how_large_a_difference_does_not_matter(
    text: str, stated: str, name: str
) -> None:
    """Trap 22."""
    for form in ("direction: lower", "no_difference: true"):
        assert refusal(text, f"{stated}, {form}") == (
            f"it: {name} has no default margin, so any difference would count; "
            f"declare the largest difference that does not matter: `margins: {{{name}: …}}`"
        )
        check(text.replace("claims:", f"margins: {{{name}: 0.01}}\nclaims:"), f"{stated}, {form}")


def test_a_billionth_less_of_a_share_is_no_less() -> None:
    """Trap 22: real, on every seed, and negligible."""
    for direction, verdict in (("lower", "refuted"), ("higher", "refuted")):
        loaded = training_claim_study(metric="zero_gradients", direction=direction)
        result = settled_training(
            loaded, zeros=lambda arm, seed: 0.01 + 0.001 * seed - 1e-9 * (arm == "optimizer=lion")
        )
        assert result.verdict == verdict
        if direction == "lower":
            assert result.sentence.endswith("the difference is within the margin of 0.005.")


def test_a_difference_below_the_margin_confirms_no_direction_though_its_interval_leaves_the_margin() -> None:
    """Half a margin on most seeds, and one seed far beyond it."""

    def zeros(arm: str, seed: int) -> float:
        return 0.1 - (arm == "optimizer=lion") * (0.001 + 0.0015 * seed)

    result = settled_training(
        training_claim_study(
            {"margins": {"zero_gradients": 0.0063}}, metric="zero_gradients", direction="lower"
        ),
        zeros=zeros,
    )
    assert result.verdict == "undecided"
    assert "the measured difference is not larger than the margin" in result.sentence
