"""Which claims on an arm's own value a study accepts."""

from __future__ import annotations

import pytest

from harness.study.claims.value import Limit
from tests.study.claims.stated_claims import DECODING, TRAINING, check, refusal

LOSS = "level: {std: 0.01}, at: {depth: 4, kind: a}, value: {at_most: 3.0}"
BYTES = "level: {cache: dynamic}, at: {new_tokens: 64}, metric: cache_bytes, value: {at_most: 4096}"

TIMED = (
    "it: the rounds of one machine are not independent, so they cannot decide the value of {} itself; "
    "compare the arm with another arm, for example by `ratio` or `at_least`"
)


def test_a_value_is_claimed_for_seeds_and_for_what_is_counted() -> None:
    check(TRAINING, LOSS)
    check(TRAINING, LOSS.replace("value", "metric: log_z, value"))  # a metric without a better direction
    check(TRAINING, LOSS.replace("std: 0.01", "std: 0.02"))  # the baseline has a value of its own
    check(DECODING, BYTES)
    check(DECODING, BYTES, rounds="exploratory: true, rounds: 1")
    check(TRAINING, "any_of: [{std: 0.01}, {std: 0.04}], at: {depth: 4, kind: a}, value: {at_least: 3.0}")


@pytest.mark.parametrize(
    ("study", "claim", "message"),
    [
        (
            DECODING,
            BYTES.replace("cache_bytes", "first_token_seconds"),
            TIMED.format("first_token_seconds"),
        ),
        (
            DECODING,
            BYTES.replace("metric: cache_bytes, ", ""),
            TIMED.format("decode_tokens_per_second"),
        ),
        (
            DECODING,
            BYTES.replace("cache_bytes", "peak_tensor_bytes"),
            TIMED.format("peak_tensor_bytes"),
        ),
        (
            TRAINING,
            LOSS.replace("3.0", "0"),
            "it: validation_loss is always positive, so the figure must be greater than 0",
        ),
        (
            TRAINING,
            LOSS.replace("at_most: 3.0", ""),
            "claims.it.value: a value has exactly one of at_least and at_most",
        ),
        (
            TRAINING,
            LOSS.replace("3.0", "3.0, at_least: 2.0"),
            "claims.it.value: a value has exactly one of at_least and at_most",
        ),
        (
            TRAINING,
            LOSS.replace("std: 0.01", "std: 0.03"),
            "std has no level '0.03'; did you mean '0.04' or '0.02'?",
        ),
        (
            TRAINING,
            LOSS.replace(", kind: a", ""),
            "it does not say for which kind it holds; add `at: {kind: …}` with one of a, b",
        ),
    ],
)
def test_a_claim_that_is_refused(study: str, claim: str, message: str) -> None:
    assert refusal(study, claim) == message


def test_too_few_seeds() -> None:
    study = TRAINING.replace("depth: [2, 4, 8], kind: [a, b]", "depth: [4]")
    claim = "level: {std: 0.01}, at: {depth: 4}, value: {at_most: 3.0}"
    assert refusal(study, claim, seeds="seeds: 5").startswith(
        "5 seeds are too few to decide it; use at least 6"
    )
    check(study, claim, seeds="exploratory: true, seeds: 1")


def test_a_limit_has_a_side() -> None:
    assert (Limit(at_least=2.0).side, Limit(at_least=2.0).figure) == (1, 2.0)
    assert (Limit(at_most=0.0).side, Limit(at_most=0.0).figure) == (-1, 0.0)
