"""Every score of what an arm wrote, sentence by sentence; and what the model itself thinks of texts, by
teacher forcing.

N texts; a row of ids each.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from harness.errors import InputError
from harness.scoring import (
    bleu,
    chrf,
    distinct_n,
    length_ratio,
    repetition,
    rouge,
    scored,
    self_bleu,
    ter,
    words,
)

if TYPE_CHECKING:
    from torch import Tensor

    from harness.statistics import SentenceStatistics

METRICS = (
    "bleu",
    "chrf",
    "ter",
    "rouge1",
    "rouge2",
    "rougeL",
    "length_ratio",
    "repetition",
    "self_bleu",
    "distinct_1",
    "distinct_2",
    "model_score",
    "perplexity_per_token",
    "perplexity_per_word",
    "perplexity_per_byte",
)

_WORD = re.compile(r"\w+")


class Forced(NamedTuple):
    """What a model gives to texts: the log-probability of each, in nats, and the tokens that it is of."""

    nats: list[float]
    tokens: list[int]


def score_texts(outputs: Sequence[str], references: Sequence[str]) -> dict[str, SentenceStatistics]:
    """The statistics of every score that takes texts alone.

    InputError: as in `check_texts`, or fewer than two texts.
    """
    of_bleu = bleu(outputs, references)
    tokens = words(outputs)
    found = [
        of_bleu,
        chrf(outputs, references),
        ter(outputs, references),
        *rouge(outputs, references).values(),
    ]
    found += [length_ratio(of_bleu), repetition(tokens), self_bleu(tokens)]
    return {statistics.metric: statistics for statistics in found}


def model_score(forced: Forced) -> SentenceStatistics:
    """Log-probability a token of what was written; an empty text is one token, its end."""
    rows = list(zip(forced.nats, forced.tokens, strict=True))
    return scored("model_score", "unit:token|by:teacher forcing", rows)


def distinct(outputs: Sequence[str], n: int) -> float:
    """distinct-n of all outputs together, NaN where none has n words."""
    try:
        return distinct_n(words(outputs), n)
    except InputError:
        return math.nan


def unseen_words(sources: Sequence[str], known: Iterable[str]) -> tuple[int, ...]:
    """How many words of each source are in none of the `known` texts, whatever their case."""
    seen = {word for text in known for word in _WORD.findall(text.lower())}
    return tuple(sum(word not in seen for word in _WORD.findall(source.lower())) for source in sources)


def teacher_forced(
    logits: Callable[[Tensor, Sequence[int]], Tensor],
    prompts: Sequence[Sequence[int]],
    rows: Sequence[Sequence[int]],
    batches: Iterable[Sequence[int]],
) -> Forced:
    """log P of each row after its prompt. `logits` takes tokens (B, T), padded with 0, and the places of
    their texts.

    `batches` has every place once, those of like length together. The model reads prompt and row in one pass,
    so it owes nothing to the decoder that wrote the row.
    """
    import torch

    nats, counts = [0.0] * len(rows), [0] * len(rows)
    for places in batches:
        whole = [[*prompts[place], *rows[place]] for place in places]
        width = max(map(len, whole))
        tokens = torch.tensor([ids + [0] * (width - len(ids)) for ids in whole])
        with torch.inference_mode():
            found = logits(tokens[:, :-1], places).double().log_softmax(dim=-1)
        of_tokens = found.cpu().gather(2, tokens[:, 1:, None]).squeeze(2)  # (B, T - 1)
        for row, place in enumerate(places):
            first, end = len(prompts[place]) - 1, len(whole[row]) - 1
            nats[place], counts[place] = float(of_tokens[row, first:end].sum()), end - first
    return Forced(nats, counts)


def corpus_scores(statistics: Mapping[str, SentenceStatistics]) -> dict[str, float]:
    """The score of all sentences together, by metric."""
    return {name: each.corpus_score for name, each in statistics.items()}
