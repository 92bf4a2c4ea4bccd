"""The checks of cache-parity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import torch
from torch import Tensor

from harness.invariants.base import BITWISE, Check, cache_kind
from harness.invariants.subjects import DecodingSubject
from harness.invariants.support.compare import compare
from harness.models.config import (
    CacheKind,
    LayerNorm,
    LearnedPosition,
    ModelConfig,
    Position,
    RMSNorm,
    RotaryPosition,
    SinusoidalPosition,
)
from harness.models.decoding.greedy import greedy
from harness.models.init import build_model
from harness.models.own import OwnDecoder
from harness.models.transformer import Transformer

Model = Transformer | OwnDecoder

# Rows of a study that are compared at once: the logits of all positions are in memory.
ROWS = 8

# How tokens are fed in chunks. The last way passes every size at which a doubling cache grows, up to 64.
CHUNKS = {
    "1 query, 8 keys": (7, 1),
    "3 queries, 8 keys": (5, 3),
    "40 tokens one by one": (5, *[1] * 35),
}


POSITIONS: tuple[Position, ...] = (SinusoidalPosition(), LearnedPosition(), RotaryPosition())


def tiny_models() -> Iterator[tuple[str, Transformer]]:
    """Random models in float64 and float32: every kind of position, pre- and post-norm, both norms.

    Attention is sharp, so that a wrong key changes the logits. There is dropout, so that it changes them if
    it is left on.
    """
    for dtype, position, pre in product((torch.float64, torch.float32), POSITIONS, (True, False)):
        config = ModelConfig(
            vocab_size=23,
            d_model=16,
            n_layers=2,
            n_heads=2,
            d_ff=32,
            max_positions=48,
            position=position,
            norm=LayerNorm() if pre else RMSNorm(),
            norm_placement="pre" if pre else "post",
            dropout=0.1,
            init_std=0.3,
        )
        yield (
            f"{config.position.kind}, {config.norm_placement}-norm",
            build_model(config, 0, dtype=dtype).eval(),
        )


def generic_checks(level: str) -> Iterator[Check]:
    kind = cache_kind(level)
    tokens = torch.randint(23, (2, 40), generator=torch.Generator().manual_seed(0))
    for name, model in tiny_models():
        if kind == "none":
            yield _repeats(f"{name}: twice the same", model, tokens)
            continue
        for case, chunks in CHUNKS.items():
            yield _in_chunks(f"{name}: {case}", model, tokens[:, : sum(chunks)], kind=kind, chunks=chunks)
        yield _padded(f"{name}: rows of 3 and 8 tokens, padded on the left", model, tokens[:, :13], kind=kind)


def subject_checks(subject: DecodingSubject) -> Iterator[Check]:
    """Teacher forcing over the prompts and their greedy continuation, which is decoded without a cache."""
    prompt_length, new_tokens = subject.tokens.shape[1], subject.new_tokens
    chunks = (prompt_length, *[1] * (new_tokens - 1))
    model = subject.model
    everything = subject.tokens.to(next(model.parameters()).device)
    for first in range(0, len(everything), ROWS):
        prompts = everything[first : first + ROWS]
        case = f"prompts {first} to {first + len(prompts) - 1}, {prompt_length} + {new_tokens} tokens"
        continuation = greedy(model, prompts, new_tokens=new_tokens, cache="none")
        tokens = torch.cat((prompts, continuation[:, :-1]), dim=1)
        if subject.cache == "none":
            yield _repeats(case, model, tokens)
        else:
            yield _in_chunks(case, model, tokens, kind=subject.cache, chunks=chunks, best=True)


def _repeats(case: str, model: Model, tokens: Tensor) -> Check:
    return compare(
        case,
        reference=_uncached(model, tokens),
        observed=lambda: _uncached(model, tokens),
        tolerances=BITWISE,
    )


def _in_chunks(
    case: str,
    model: Model,
    tokens: Tensor,
    *,
    kind: CacheKind,
    chunks: Sequence[int],
    best: bool = False,
) -> Check:
    return compare(
        case,
        reference=_uncached(model, tokens),
        observed=lambda: _cached(model, tokens, kind=kind, chunks=chunks),
        tokens=best,
    )


def _padded(case: str, model: Model, tokens: Tensor, *, kind: CacheKind) -> Check:
    """Prompts of 3 and 8 real tokens, then steps of 1, 1 and 3: rows in one batch against each row alone."""
    padding = 5
    valid = torch.ones_like(tokens, dtype=torch.bool)
    valid[0, :padding] = False
    alone = torch.cat(
        (_uncached(model, tokens[:1, padding:])[0], _uncached(model, tokens[1:])[0])
    )  # (real tokens, V)
    return compare(
        case,
        reference=alone,
        observed=lambda: _cached(model, tokens, kind=kind, chunks=(8, 1, 1, 3), valid=valid)[valid],
    )


@torch.inference_mode()
def _uncached(model: Model, tokens: Tensor) -> Tensor:
    """Logits (B, T, V) of one pass without a cache."""
    logits: Tensor = model(tokens)
    return logits


@torch.inference_mode()
def _cached(
    model: Model, tokens: Tensor, *, kind: CacheKind, chunks: Sequence[int], valid: Tensor | None = None
) -> Tensor:
    """Logits (B, T, V) of the same tokens in chunks; only the first chunk may have padding."""
    cache = model.new_cache(kind, batch=tokens.shape[0], capacity=tokens.shape[1])
    logits, start = [], 0
    for size in chunks:
        real = None if valid is None or start else valid[:, :size]
        logits.append(model(tokens[:, start : start + size], cache=cache, valid=real))
        start += size
    return torch.cat(logits, dim=1)
