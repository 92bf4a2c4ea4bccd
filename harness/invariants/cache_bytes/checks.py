"""The checks of cache-bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from harness.invariants.base import Check, cache_kind, tolerance_of
from harness.invariants.subjects import DecodingSubject
from harness.invariants.support.compare import BROKEN, error_line
from harness.models.config import CacheKind, LearnedPosition, ModelConfig
from harness.models.cost import cache_bytes
from harness.models.init import build_model
from harness.models.own import OwnDecoder
from harness.models.transformer import Transformer

BATCHES = (1, 2, 5)
LAYERS = (1, 2, 4)
# Prompt and new tokens. A cache then holds prompt + new - 1 positions: fewer than, exactly and more than the
# sizes at which a doubling cache grows.
LENGTHS = ((1, 1), (3, 5), (8, 9), (8, 10), (17, 16), (7, 28))


class Work(NamedTuple):
    batch: int
    prompt: int
    new_tokens: int


def generic_checks(level: str) -> Iterator[Check]:
    kind = cache_kind(level)
    works = [Work(batch, *length) for batch in BATCHES for length in LENGTHS]
    for dtype in (torch.float64, torch.float32):
        models = {layers: build_model(_tiny(layers), 0, dtype=dtype).eval() for layers in LAYERS}
        for layers, model in models.items():
            yield _check(f"{layers} layers: closed form", model, kind, works, partial(_formula, model, kind))
        deepest = models[LAYERS[-1]]
        unit = partial(_rows_of_one_layer, models[1], kind, LAYERS[-1])
        yield _check("grows as batch × layers", deepest, kind, works, unit)


def subject_checks(subject: DecodingSubject) -> Iterator[Check]:
    batch, prompt = subject.tokens.shape
    work = Work(batch, prompt, subject.new_tokens)
    formula = partial(_formula, subject.model, subject.cache)
    yield _check("the study's own sizes", subject.model, subject.cache, [work], formula)


def _check(
    case: str,
    model: Transformer | OwnDecoder,
    kind: CacheKind,
    works: Sequence[Work],
    expected: Callable[[Work], int],
) -> Check:
    """Bytes of the real tensors after each work against what is expected; `compared` counts works."""
    deviation, problems = 0.0, []
    for work in works:
        try:
            measured, right = _measured(model, kind, work), expected(work)
        except BROKEN as error:
            deviation = math.inf
            problems.append(f"{work}: {error_line(error)}")
            continue
        if measured != right:
            deviation = max(deviation, abs(measured - right) / right if right else math.inf)
            problems.append(f"{work}: {measured} bytes instead of {right}")
    return Check(
        case=case,
        precision=tolerance_of(next(model.parameters()).dtype)[0],
        passed=bool(works) and not problems,
        deviation=deviation,
        tolerance=0.0,
        compared=len(works),
        skipped=0,
        detail=problems[0] if problems else "",
    )


def _measured(model: Transformer | OwnDecoder, kind: CacheKind, work: Work) -> int:
    """Bytes held after the work: all tokens but the last new one have been fed."""
    device = next(model.parameters()).device
    cached = work.prompt + work.new_tokens - 1
    with torch.inference_mode():
        cache: Any = model.new_cache(kind, batch=work.batch, capacity=cached)
        if cache is None:
            return 0
        tokens = torch.zeros((work.batch, cached), dtype=torch.long, device=device)
        model.next_logits(tokens[:, : work.prompt], cache=cache)
        for position in range(work.prompt, cached):
            model.next_logits(tokens[:, position : position + 1], cache=cache)
        return int(cache.nbytes)


def _formula(model: Transformer | OwnDecoder, kind: CacheKind, work: Work) -> int:
    return cache_bytes(
        model.config,
        kind,
        batch=work.batch,
        prompt=work.prompt,
        new_tokens=work.new_tokens,
        bytes_per_value=next(model.parameters()).element_size(),
    )


def _rows_of_one_layer(one_layer: Transformer | OwnDecoder, kind: CacheKind, layers: int, work: Work) -> int:
    return work.batch * layers * _measured(one_layer, kind, work._replace(batch=1))


def _tiny(layers: int) -> ModelConfig:
    return ModelConfig(
        vocab_size=7,
        d_model=8,
        n_layers=layers,
        n_heads=2,
        d_ff=8,
        max_positions=48,
        position=LearnedPosition(),
    )
