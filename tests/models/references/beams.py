"""Hypotheses of a reference's beam search beside ours.

A defect of the reference remains: n-grams that may not be repeated are looked for in the prompt too. So
`no_repeat_ngram` is compared where the prompt is one token, 0, that no hypothesis repeats. The prompt no
longer counts in its length penalty (transformers#26624): prompts of 14 tokens would show it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from harness.models.decoding.beam_bookkeeping import Hypothesis
from harness.models.decoding.config import BeamSearch
from tests.models.references.reference import RELATIVE_TOLERANCE

Stop = Literal["enough", "bound"]
NEW_TOKENS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferenceBeams:
    """`rows` has the hypotheses of each prompt, best first: tokens, with the end token, and score."""

    end: int
    new_tokens: int
    rows: list[list[tuple[tuple[int, ...], float]]]


def reference_beams(
    generate: Callable[..., Any], settings: BeamSearch, *, prompt_tokens: int
) -> ReferenceBeams:
    """The end token is one that the reference likes, so that hypotheses end at different lengths."""
    plain = generate(eos_token_id=None, max_new_tokens=NEW_TOKENS).sequences
    end = int(plain[0, prompt_tokens + 4])
    made = generate(
        eos_token_id=end,
        max_new_tokens=NEW_TOKENS,
        num_beams=settings.width,
        num_return_sequences=settings.n_best,
        length_penalty=1.0,
        early_stopping=True if settings.stop == "enough" else "never",
        no_repeat_ngram_size=settings.no_repeat_ngram or 0,
    )
    flat = [
        (until(row, end), score)
        for row, score in zip(
            made.sequences[:, prompt_tokens:].tolist(), made.sequences_scores.tolist(), strict=True
        )
    ]
    count = settings.n_best
    if settings.no_repeat_ngram is not None:
        assert not any(0 in tokens for tokens, _ in flat)
    rows = [flat[first : first + count] for first in range(0, len(flat), count)]
    return ReferenceBeams(end=end, new_tokens=NEW_TOKENS, rows=rows)


def until(row: list[int], end: int) -> tuple[int, ...]:
    """The tokens up to the end, included; padding follows it."""
    return tuple(row[: row.index(end) + 1] if end in row else row)


def assert_beams_agree(hypotheses: list[list[Hypothesis]], expected: ReferenceBeams) -> None:
    lengths = {len(tokens) for row in expected.rows for tokens, _ in row}
    assert len(lengths) > 1  # else length penalties and ends would not have been seen
    assert [[hypothesis.tokens for hypothesis in row] for row in hypotheses] == [
        [tokens for tokens, _ in row] for row in expected.rows
    ]
    for ours, theirs in zip(hypotheses, expected.rows, strict=True):
        for hypothesis, (_, score) in zip(ours, theirs, strict=True):
            assert abs(hypothesis.score - score) <= RELATIVE_TOLERANCE * abs(score)
