"""The checks of causality."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from harness.invariants.base import Check
from harness.invariants.subjects import Subject
from harness.invariants.support.compare import Judgement, compare, judged
from harness.invariants.support.tiny import DTYPES, decoders, random_tokens, translators

LENGTH = 12
LAST_KNOWN = (0, 5, 10)
ROWS = 4

Forward = Callable[[Tensor], Tensor]


def generic_checks(_level: str) -> Iterator[Check]:
    tokens, source = random_tokens(2, LENGTH), random_tokens(2, 9, seed=1)
    for dtype in DTYPES:
        for name, model in decoders(dtype):
            yield from _model_checks(name, model, model.embedding, tokens)
        for name, translator in translators(dtype):

            def translate(target: Tensor, model: nn.Module = translator) -> Tensor:
                logits: Tensor = model(source, target)
                return logits

            yield from _model_checks(name, translate, translator.embedding, tokens)


def subject_checks(subject: Subject) -> Iterator[Check]:
    tokens = subject.tokens[:ROWS]
    last = tokens.shape[1] - 1
    if last < 1:
        tokens, last = tokens.repeat(1, 2), 1  # a row of one token has no token after it
    for known in sorted({0, last // 2, last - 1}):
        yield _unchanged(f"the study's tokens after position {known} changed", subject.logits, tokens, known)


def _model_checks(name: str, forward: Forward, entry: nn.Module, tokens: Tensor) -> Iterator[Check]:
    for known in LAST_KNOWN:
        yield _unchanged(f"{name}: tokens after position {known} changed", forward, tokens, known)
        yield _jacobian(f"{name}: Jacobian of the logits at position {known}", forward, entry, tokens, known)


def _unchanged(case: str, forward: Forward, tokens: Tensor, known: int) -> Check:
    """Every token after position `known` is replaced by another one."""
    changed = tokens.clone()
    ahead = tokens[:, known + 1 :]
    changed[:, known + 1 :] = torch.where(ahead > 0, ahead - 1, ahead + 1)
    with torch.inference_mode():
        reference = forward(tokens)[:, : known + 1]

    def observed() -> Tensor:
        with torch.inference_mode():
            return forward(changed)[:, : known + 1]

    return compare(case, reference=reference, observed=observed)


def _jacobian(case: str, forward: Forward, entry: nn.Module, tokens: Tensor, known: int) -> Check:
    """The gradient with respect to the inputs after position `known` must be exactly zero; `compared` counts
    pairs of row and position.
    """

    def observed() -> Tensor:
        logits, embedded = _with_embedded(forward, entry, tokens)
        weights = torch.randn(logits[:, known].shape, generator=torch.Generator().manual_seed(2)).to(
            logits.dtype
        )
        return torch.autograd.grad((logits[:, known] * weights).sum(), embedded)[0]  # (B, T, C)

    def judge(gradient: Tensor) -> Judgement:
        ahead, seen = gradient[:, known + 1 :], gradient[:, : known + 1]
        deviation = float(ahead.abs().max() / seen.abs().max())
        problems = [] if deviation <= 0.0 else ["a logit depends on a token after it"]
        return Judgement(deviation, ahead.shape[:2].numel(), problems=problems)

    dtype = next(entry.parameters()).dtype
    return judged(case, dtype=dtype, tolerance=0.0, observed=observed, judge=judge)


def _with_embedded(forward: Forward, entry: nn.Module, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (B, T, V) and the embedded vectors (B, T, C) that they depend on."""
    held: list[Tensor] = []  # a translator embeds its source first

    def keep(_: nn.Module, __: tuple[Tensor, ...], vectors: Tensor) -> Tensor:
        held.append(vectors.detach().requires_grad_())
        return held[-1]

    handle = entry.register_forward_hook(keep)
    try:
        return forward(tokens), held[-1]
    finally:
        handle.remove()
