"""Scores from a model's likelihoods, by teacher forcing: perplexities, and its score of its own text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from harness.errors import InputError
from harness.scoring.score import TextScores, sentence_statistics
from harness.scoring.texts import LogLikelihoods, WrittenTexts
from harness.statistics import SentenceStatistics, ratio_of_sums
from harness.statistics.rank_sums import Floats

Unit = Literal["token", "word", "byte"]
UNITS: tuple[Unit, ...] = ("token", "word", "byte")


def exp_of_mean(sums: Floats) -> Floats:
    """(…, 2) → (…): perplexity from nats and the number of units."""
    with np.errstate(over="ignore"):
        perplexity: Floats = np.exp(ratio_of_sums(sums))
    return perplexity


def perplexities(
    nats: Sequence[float], counts: Mapping[Unit, Sequence[int]], *, tokenizer: str
) -> dict[Unit, SentenceStatistics]:
    """exp(nats / units) over all texts, given the nats of each text and how many of each unit it has:
    predicted tokens, words, and the bytes that the tokens stand for.

    Only models with the same tokenizer can be compared per token, so the signature of that score names the
    `tokenizer` (its name or digest). Per word (separated by white space) and per UTF-8 byte, any two models
    can be compared on the same texts.

    Raises InputError if the numbers of texts differ, if nats are negative, infinite or NaN, or if a text has
    none of a unit. The perplexity of a model that diverged is not measured.
    """
    for unit, values in counts.items():
        if len(values) != len(nats):
            raise InputError(f"there are {len(nats)} losses, but {len(values)} texts have {unit}s")
    for index, loss in enumerate(nats):
        if not 0 <= loss < math.inf:
            raise InputError(
                f"text {index + 1} has a loss of {loss} nats; it must be finite and not negative"
            )
        for unit, values in counts.items():
            if values[index] < 1:
                raise InputError(f"text {index + 1} has {values[index]} {unit}s", hint="leave it out")
    signatures: dict[Unit, str] = {
        "token": f"unit:token|tokenizer:{tokenizer}",
        "word": "unit:word|split:whitespace",
        "byte": "unit:byte|encoding:utf-8",
    }
    return {
        unit: sentence_statistics(
            f"perplexity_per_{unit}",
            signatures[unit],
            list(zip(nats, values, strict=True)),
            exp_of_mean,
        )
        for unit, values in counts.items()
    }


def model_score(likelihoods: LogLikelihoods) -> SentenceStatistics:
    """The log-probability per token of the written texts. An empty text is one token, its end."""
    rows = list(zip(likelihoods.nats, likelihoods.tokens, strict=True))
    return sentence_statistics("model_score", "unit:token|by:teacher forcing", rows)


def _compute(texts: WrittenTexts) -> Iterator[SentenceStatistics]:
    yield model_score(texts.output_likelihoods)
    references = texts.reference_likelihoods
    counts: dict[Unit, Sequence[int]] = {
        "token": references.tokens,
        "word": [len(reference.split()) for reference in texts.references],
        "byte": texts.reference_bytes,
    }
    yield from perplexities([-nats for nats in references.nats], counts, tokenizer=texts.tokenizer).values()


SCORES = TextScores(
    formulas={"model_score": ratio_of_sums} | {f"perplexity_per_{unit}": exp_of_mean for unit in UNITS},
    compute=_compute,
)
