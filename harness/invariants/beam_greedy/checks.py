"""The checks of beam-greedy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from harness.invariants.base import Check, cache_kind
from harness.invariants.beam_greedy import PROMPT
from harness.invariants.subjects import WritingSubject
from harness.invariants.support.compare import compare, compare_greedy
from harness.invariants.support.tiny import random_prompts, tiny_model
from harness.models.config import CacheKind
from harness.models.decoding.beam_search import beam_search
from harness.models.decoding.config import BeamSearch, GNMTPenalty, LengthPenalty, MeanPenalty
from harness.models.transformer import Transformer

# Few enough to enumerate: continuations of at most 4 tokens, out of a vocabulary of 4 with an end token.
VOCABULARY, END, LONGEST = 4, 1, 4
BEST = 7
PENALTIES: tuple[LengthPenalty, ...] = (MeanPenalty(), GNMTPenalty(alpha=0.6))

Tokens = tuple[int, ...]


def generic_checks(level: str) -> Iterator[Check]:
    kind = cache_kind(level)
    for dtype in (torch.float64, torch.float32):
        model = tiny_model(vocabulary=VOCABULARY, dtype=dtype)
        prompts = random_prompts(2, PROMPT, vocabulary=VOCABULARY)
        rows = [_log_probabilities(model, prompt) for prompt in prompts]
        for penalty in PENALTIES:
            yield _exhaustive(model, prompts, rows, penalty=penalty, kind=kind)
        larger, prompts = tiny_model(vocabulary=23, dtype=dtype), random_prompts(3, PROMPT, vocabulary=23)
        yield _beam_of_one("beam 1", WritingSubject(model=larger, tokens=prompts, new_tokens=20, cache=kind))


def subject_checks(subject: WritingSubject) -> Iterator[Check]:
    yield _beam_of_one("beam 1 on the study's prompts", subject)


def _beam_of_one(case: str, subject: WritingSubject) -> Check:
    parameter = next(subject.model.parameters())
    prompts = subject.tokens.to(parameter.device)

    def tokens() -> Tensor:
        rows = beam_search(
            subject.decodable,
            prompts,
            BeamSearch(width=1),
            new_tokens=subject.new_tokens,
            cache=subject.cache,
        )
        return torch.tensor([best.tokens for (best,) in rows], device=prompts.device)

    return compare_greedy(
        case, forced=subject.logits, prompts=prompts, observed=tokens, dtype=parameter.dtype
    )


def _exhaustive(
    model: Transformer,
    prompts: Tensor,
    log_probabilities: list[dict[Tokens, float]],
    *,
    penalty: LengthPenalty,
    kind: CacheKind,
) -> Check:
    """The best scores of all continuations against those that the search gives, and against the true scores
    of the tokens that it gives.
    """
    scores = [
        {tokens: _score(log_probability, len(tokens), penalty) for tokens, log_probability in row.items()}
        for row in log_probabilities
    ]
    best = torch.tensor([sorted(row.values(), reverse=True)[:BEST] for row in scores], dtype=torch.float64)

    def searched() -> Tensor:
        settings = BeamSearch(width=VOCABULARY**LONGEST, n_best=BEST, length_penalty=penalty)
        rows = beam_search(model, prompts, settings, new_tokens=LONGEST, cache=kind, end=END)
        pairs = [
            [(best.score, row_scores.get(best.tokens, math.nan)) for best in row]
            for row, row_scores in zip(rows, scores, strict=True)
        ]
        return torch.tensor(pairs, dtype=best.dtype).to(next(model.parameters()).dtype)

    reference = torch.stack((best, best), dim=2).to(next(model.parameters()).dtype)  # (B, n, 2)
    return compare(f"beam without limit, {penalty.kind} penalty", reference=reference, observed=searched)


def _score(log_probability: float, length: int, penalty: LengthPenalty) -> float:
    """A second implementation, so that the search's own formula is checked too."""
    if isinstance(penalty, MeanPenalty):
        return log_probability / length
    return log_probability / float(((5.0 + length) / 6.0) ** penalty.alpha)


@torch.inference_mode()
def _log_probabilities(model: Transformer, prompt: Tensor) -> dict[Tokens, float]:
    """The log-probability of every continuation of a prompt (P,) up to its end token or the greatest length,
    by teacher forcing.
    """
    every = torch.tensor(list(product(range(VOCABULARY), repeat=LONGEST)))  # (256, 4)
    logits = model(torch.cat((prompt.expand(len(every), -1), every), dim=1))[:, len(prompt) - 1 : -1]
    steps = logits.double().log_softmax(dim=-1).gather(2, every[:, :, None]).squeeze(2)
    totals = steps.cumsum(dim=1).tolist()
    log_probabilities = {}
    for tokens, sums in zip(every.tolist(), totals, strict=True):
        length = tokens.index(END) + 1 if END in tokens else LONGEST
        log_probabilities[tuple(tokens[:length])] = sums[length - 1]
    return log_probabilities
