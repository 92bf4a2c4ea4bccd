"""Claims that are written wrongly, or that name what is not there."""

from __future__ import annotations

from tests.study.load.refusals import Spoilt, cases, refusal_of_spoilt

REFUSED: tuple[Spoilt, ...] = (
    (
        "an unknown key of a claim",
        "ratio: 2.0",
        "ratio: 2.0\n    whithin: 2",
        "24:5: unknown key 'whithin' in claims.fast; did you mean 'within'?",
    ),
    (
        "a misspelt form of a claim",
        "ratio: 2.0",
        "ratoi: 2.0",
        "23:5: unknown key 'ratoi' in claims.fast; did you mean 'ratio'?",
    ),
    (
        "two forms of a claim",
        "ratio: 2.0",
        "ratio: 2.0\n    holds: cache-parity",
        (
            "19:5: claims.fast: a claim states exactly one of: at_least, at_most, direction, diverges, "
            "exponent, "
            "formula, holds, most_sensitive, no_difference, ratio, reaches, trend, value; found holds "
            "and ratio"
        ),
    ),
    (
        "text for a ratio",
        "ratio: 2.0",
        "ratio: fast",
        "23:12: claims.fast.ratio: expected a number, found 'fast'",
    ),
    (
        "a claim on an unknown metric",
        "metric: cache_bytes,",
        "metric: cache_byte,",
        (
            "25:66: task 'generate' does not produce the metric 'cache_byte'; did you mean 'cache_bytes' or "
            "'cache_bytes_formula'?"
        ),
    ),
    (
        "a claim on what is not measured",
        "ratio: 2.0",
        "ratio: 2.0\n    metric: loss",
        (
            "24:13: task 'generate' does not produce the metric 'loss'; known: cache_bytes, "
            "cache_bytes_formula, cpu_energy_joules, cpu_joules_per_token, decode_tokens_per_second, "
            "first_token_seconds, gpu_energy_joules, gpu_joules_per_token, peak_rss_bytes, "
            "peak_tensor_bytes, prefill_tokens_per_second, tokens_per_second"
        ),
    ),
    (
        "a formula of itself",
        "formula: cache_bytes_formula",
        "formula: cache_bytes",
        "25:88: bytes compares cache_bytes with itself",
    ),
    (
        "a claim on an unknown invariant",
        "holds: cache-parity",
        "holds: cache-party",
        (
            "17:55: the study's `invariants` do not include 'cache-party'; did you mean 'cache-parity' or "
            "'cache-bytes'?"
        ),
    ),
    (
        "a claim on an unknown level",
        "    level: {cache: dynamic}",
        "    level: {cache: dynamik}",
        "21:20: cache has no level 'dynamik'; did you mean 'dynamic'?",
    ),
    (
        "a claim on an unknown factor",
        "    level: {cache: dynamic}",
        "    level: {cash: dynamic}",
        "21:13: `compare` has no factor 'cash'; did you mean 'cache'?",
    ),
    (
        "a claim on the baseline",
        "    level: {cache: dynamic}",
        "    level: {cache: none}",
        "21:5: fast compares cache=none with itself, because it is the baseline",
    ),
    (
        "a claim at an unknown condition",
        "at: {new_tokens: 32}",
        "at: {new_tokens: 33}",
        "22:22: new_tokens has no level '33'; known: 16, 32, 8",
    ),
    (
        "a claim at no condition",
        "    at: {new_tokens: 32}\n",
        "",
        (
            "18:3: fast does not say for which new_tokens it holds; add `at: {new_tokens: …}` with one "
            "of 8, 16, 32"
        ),
    ),
    (
        "a trend over an unknown factor",
        "over: new_tokens",
        "over: new_token",
        "24:98: `across` has no factor 'new_token'; did you mean 'new_tokens'?",
    ),
    (
        "a trend that is neither",
        "trend: increasing",
        "trend: rising",
        (
            "24:80: claims.grows.trend: 'rising' is not an allowed value; did you mean 'increasing' or "
            "'decreasing'?"
        ),
    ),
    (
        "a trend over two levels",
        "[8, 16, 32]",
        "[8, 32]",
        "24:98: a trend over new_tokens needs at least 3 levels, but there are 2",
    ),
    (
        "a trend over names",
        "[8, 16, 32]",
        "[8, 16, 32, long: {new_tokens: 40}]",
        "24:98: a trend over new_tokens needs levels that are positive numbers; 'long' is not one",
    ),
    (
        "too few rounds for a claim",
        "rounds: 10",
        "rounds: 5",
        (
            "13:28: 5 rounds are too few to decide fast; use at least 6, or set `exploratory: true` to see "
            "effects without verdicts"
        ),
    ),
)


@cases(REFUSED)
def test_claims_that_are_wrong(old: str, new: str, message: str) -> None:
    assert refusal_of_spoilt(old, new) == message
