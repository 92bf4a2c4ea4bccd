"""Which claims on an exponent a study accepts."""

from __future__ import annotations

import pytest

from tests.study.claims.stated_claims import DECODING, TRAINING, check, refusal

BYTES = "level: {cache: dynamic}, metric: cache_bytes, exponent: 1.0, over: new_tokens, within: 0.1"
SECONDS = BYTES.replace("cache_bytes", "first_token_seconds")
LOSS = "level: {std: 0.01}, exponent: -0.5, over: depth, within: 0.1"
CONTAINS_ZERO = (
    "claims.it: the region 0 to 2 of the claimed exponent 1 contains 0, so that no change would confirm the "
    "claim; use a `within` below 1"
)
NOT_POSITIVE = (
    "it: an exponent needs a metric that is always positive and has one value per round or seed, and "
    "gradient_norm is not one"
)


def test_an_exponent_is_claimed_of_a_metric_that_is_positive() -> None:
    for claim in (BYTES, SECONDS, BYTES.replace("dynamic", "none"), BYTES.replace("1.0", "0.0")):
        check(DECODING, claim)
    check(DECODING, BYTES, rounds="exploratory: true, rounds: 1")
    check(TRAINING, LOSS)


@pytest.mark.parametrize(
    ("study", "claim", "message"),
    [
        (
            DECODING,
            BYTES.replace("new_tokens", "new_token"),
            "`across` has no factor 'new_token'; did you mean",
        ),
        (
            TRAINING,
            LOSS.replace("depth", "kind"),
            "an exponent over kind needs levels that are positive numbers; 'a' is not one",
        ),
        (
            DECODING.replace("[16, 64, 256]", "[16, 64]"),
            BYTES,
            "an exponent over new_tokens needs at least 3 levels, but there are 2",
        ),
        (
            DECODING.replace("[16, 64, 256]", "[0, 16, 64]"),
            BYTES,
            "an exponent over new_tokens needs levels that are positive numbers; '0' is not one",
        ),
        (
            DECODING,
            BYTES.replace("0.1", "1.0"),
            CONTAINS_ZERO,
        ),
        (DECODING, BYTES.replace("within: 0.1", "within: 0"), "claims.it.within: must be greater than 0"),
        (
            TRAINING,
            LOSS.replace("exponent", "metric: gradient_norm, exponent"),
            NOT_POSITIVE,
        ),
        (DECODING, BYTES.replace("dynamic", "paged"), "cache has no level 'paged'"),
    ],
)
def test_a_claim_that_is_refused(study: str, claim: str, message: str) -> None:
    assert refusal(study, claim).startswith(message)


def test_too_few_rounds_for_a_timing() -> None:
    few = DECODING.replace("rounds: 12", "rounds: 5").replace(
        "primary: decode_tokens_per_second", "primary: cache_bytes"
    )
    check(few, BYTES)
    assert refusal(few, SECONDS).startswith("5 rounds are too few to decide it; use at least 6")
