"""Perplexity per token, per word and per byte, from summed negative log-likelihoods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from harness.errors import InputError
from harness.scoring.formulas import scored
from harness.scoring.texts import check_strings
from harness.statistics import SentenceStatistics

Unit = Literal["token", "word", "byte"]


def perplexities(
    nats: Sequence[float], tokens: Sequence[int], texts: Sequence[str], *, tokenizer: str
) -> dict[Unit, SentenceStatistics]:
    """exp(nats / units) over all texts, given the nats and the number of predicted tokens of each.

    Per token it compares models of one tokenizer only, hence `tokenizer` (its name or digest) is in that
    signature; per word (separated by white space) and per UTF-8 byte any two models of the same texts.
    InputError where numbers of texts differ, nats are negative or NaN, or a text has no tokens or no words.
    An infinite loss is refused as well: the perplexity of a diverged model is not measured.
    """
    check_strings("texts", texts)
    if not len(nats) == len(tokens) == len(texts):
        raise InputError(f"{len(nats)} losses and {len(tokens)} token counts for {len(texts)} texts")
    counts: dict[Unit, list[int]] = {
        "token": list(tokens),
        "word": [len(text.split()) for text in texts],
        "byte": [len(text.encode()) for text in texts],
    }
    for place, loss in enumerate(nats, start=1):
        if not 0 <= loss < math.inf:
            raise InputError(f"text {place} has a loss of {loss} nats; it must be finite and not negative")
        for unit, values in counts.items():
            if values[place - 1] < 1:
                raise InputError(f"text {place} has {values[place - 1]} {unit}s", hint="leave it out")
    signatures: dict[Unit, str] = {
        "token": f"unit:token|tokenizer:{tokenizer}",
        "word": "unit:word|split:whitespace",
        "byte": "unit:byte|encoding:utf-8",
    }
    return {
        unit: scored(f"perplexity_per_{unit}", signatures[unit], list(zip(nats, values, strict=True)))
        for unit, values in counts.items()
    }
