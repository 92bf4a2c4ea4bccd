"""The cases of beam-greedy. Imported when checks run, never to list them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from harness.invariants.base import Check, cache_kind
from harness.invariants.beam_greedy import PROMPT
from harness.invariants.subjects import WritingSubject
from harness.invariants.support.compare import compare
from harness.invariants.support.decoding import compare_greedy, random_prompts, tiny_model
from harness.models.config import CacheKind
from harness.models.decoding.base import Decodable
from harness.models.decoding.beam_search import beam_search
from harness.models.decoding.config import BeamSearch, GNMTPenalty, LengthPenalty, MeanPenalty
from harness.models.transformer import Transformer

# Small enough to enumerate: 4 tokens, one of them the end, at most 4 of them.
VOCABULARY, END, LONGEST = 4, 1, 4
BEST = 7
PENALTIES: tuple[LengthPenalty, ...] = (MeanPenalty(), GNMTPenalty(alpha=0.6))

Said = tuple[int, ...]


def generic_checks(level: str) -> Iterator[Check]:
    kind = cache_kind(level)
    for dtype in (torch.float64, torch.float32):
        model = tiny_model(vocabulary=VOCABULARY, dtype=dtype)
        prompts = random_prompts(2, PROMPT, vocabulary=VOCABULARY)
        said = [_log_probabilities(model, prompt) for prompt in prompts]
        for penalty in PENALTIES:
            yield _exhaustive(model, prompts, said, penalty=penalty, kind=kind)
        larger = tiny_model(vocabulary=23, dtype=dtype)
        yield _beam_of_one(
            "beam 1", larger, random_prompts(3, PROMPT, vocabulary=23), kind=kind, new_tokens=20
        )


def subject_checks(subject: WritingSubject) -> Iterator[Check]:
    parameter = next(subject.model.parameters())

    def tokens() -> Tensor:
        return _beam_tokens(
            subject.decodable,
            subject.tokens.to(parameter.device),
            kind=subject.cache,
            new_tokens=subject.new_tokens,
        )

    yield compare_greedy(
        "beam 1 on the study's prompts",
        forced=subject.logits,
        prompts=subject.tokens.to(parameter.device),
        observed=tokens,
        dtype=parameter.dtype,
    )


def _beam_of_one(
    case: str, model: Transformer, prompts: Tensor, *, kind: CacheKind, new_tokens: int
) -> Check:
    def tokens() -> Tensor:
        return _beam_tokens(model, prompts, kind=kind, new_tokens=new_tokens)

    dtype = next(model.parameters()).dtype
    return compare_greedy(case, forced=model, prompts=prompts, observed=tokens, dtype=dtype)


def _beam_tokens(model: Decodable, prompts: Tensor, *, kind: CacheKind, new_tokens: int) -> Tensor:
    """(B, new_tokens): what a beam of one says."""
    found = beam_search(model, prompts, BeamSearch(width=1), new_tokens=new_tokens, cache=kind)
    return torch.tensor([best.tokens for (best,) in found], device=prompts.device)


def _exhaustive(
    model: Transformer,
    prompts: Tensor,
    said: list[dict[Said, float]],
    *,
    penalty: LengthPenalty,
    kind: CacheKind,
) -> Check:
    """The scores of the best continuations, and the scores that the tokens found really have."""
    scores = [{tokens: _score(each, len(tokens), penalty) for tokens, each in row.items()} for row in said]
    best = torch.tensor([sorted(row.values(), reverse=True)[:BEST] for row in scores], dtype=torch.float64)

    def found() -> Tensor:
        settings = BeamSearch(width=VOCABULARY**LONGEST, n_best=BEST, length_penalty=penalty)
        rows = beam_search(model, prompts, settings, new_tokens=LONGEST, cache=kind, end=END)
        pairs = [
            [(each.score, real.get(each.tokens, math.nan)) for each in row]
            for row, real in zip(rows, scores, strict=True)
        ]
        return torch.tensor(pairs, dtype=best.dtype).to(next(model.parameters()).dtype)

    reference = torch.stack((best, best), dim=2).to(next(model.parameters()).dtype)  # (B, n, 2)
    return compare(f"beam without limit, {penalty.kind} penalty", reference=reference, observed=found)


def _score(log_probability: float, length: int, penalty: LengthPenalty) -> float:
    """Written once more, so that the search's own formula is checked too."""
    if isinstance(penalty, MeanPenalty):
        return log_probability / length
    return log_probability / float(((5.0 + length) / 6.0) ** penalty.alpha)


@torch.inference_mode()
def _log_probabilities(model: Transformer, prompt: Tensor) -> dict[Said, float]:
    """Of every continuation of a prompt (P,) up to the end token or the longest length, by teacher forcing."""
    whole = torch.tensor(list(product(range(VOCABULARY), repeat=LONGEST)))  # (256, 4)
    logits = model(torch.cat((prompt.expand(len(whole), -1), whole), dim=1))[:, len(prompt) - 1 : -1]
    steps = logits.double().log_softmax(dim=-1).gather(2, whole[:, :, None]).squeeze(2)
    totals = steps.cumsum(dim=1).tolist()
    found = {}
    for tokens, sums in zip(whole.tolist(), totals, strict=True):
        length = tokens.index(END) + 1 if END in tokens else LONGEST
        found[tuple(tokens[:length])] = sums[length - 1]
    return found
