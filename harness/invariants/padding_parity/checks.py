"""The checks of padding-parity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.invariants.base import Check
from harness.invariants.subjects import Subject
from harness.invariants.support.compare import compare, compare_named
from harness.invariants.support.tiny import DTYPES, decoders, random_tokens, translators
from harness.models.config import IGNORED_TARGET
from harness.models.decoding.greedy import greedy
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.loss import cross_entropy
from harness.models.transformer import Transformer

Side = Literal["left", "right"]
SIDES: tuple[Side, ...] = ("left", "right")

LENGTHS = (3, 8, 13)
ROWS = 4


def generic_checks(_level: str) -> Iterator[Check]:
    for dtype in DTYPES:
        rows = [random_tokens(1, length, seed=length) for length in LENGTHS]
        for name, model in decoders(dtype):
            for side in SIDES:
                yield _batched(f"{name}: padded on the {side}", model, rows, side=side)
                yield _loss(f"{name}: loss and gradients, padded on the {side}", model, rows, side=side)
            yield _batched(f"{name}: 4 rows without padding", model, [rows[-1], *rows[-1:] * 3], side="right")
            yield _decoded(f"{name}: greedy tokens, padded on the left", model, rows)
        sources = [random_tokens(1, length, seed=20 + length) for length in reversed(LENGTHS)]
        for name, translator in translators(dtype):
            for side in SIDES:
                yield _translated(
                    f"{name}: sources padded on the {side}", translator, sources, rows, side=side
                )


def subject_checks(subject: Subject) -> Iterator[Check]:
    """The arm's rows, cut to different lengths, alone and together."""
    rows, room = subject.tokens[:ROWS], subject.tokens.shape[1]
    cut = [row[None, : max(1, room - index * room // (2 * ROWS))] for index, row in enumerate(rows)]
    if isinstance(subject.model, EncoderDecoder):
        yield from _sources_of_subject(subject, subject.model, cut)
        return
    shortest = [*cut, rows[:1, : max(1, room // 3)]]
    for side in SIDES:
        yield _batched(
            f"{len(shortest)} of the study's rows, padded on the {side}", subject.model, shortest, side=side
        )


def _sources_of_subject(subject: Subject, model: EncoderDecoder, targets: list[Tensor]) -> Iterator[Check]:
    """The arm's own sources without their padding."""
    assert subject.sources is not None
    rows = [row[row != 0][None] for row in subject.sources[: len(targets)]]
    for side in SIDES:
        yield _translated(f"the study's sources, padded on the {side}", model, rows, targets, side=side)


def _batched(case: str, model: Transformer, rows: list[Tensor], *, side: Side) -> Check:
    tokens, valid = _padded(rows, side=side)
    with torch.inference_mode():
        alone = torch.cat([model(row)[0] for row in rows])  # (real tokens, V)

    def together() -> Tensor:
        with torch.inference_mode():
            logits: Tensor = model(tokens, valid=valid if not bool(valid.all()) else None)
        return logits[valid]

    return compare(case, reference=alone, observed=together)


def _loss(case: str, model: Transformer, rows: list[Tensor], *, side: Side) -> Check:
    """The mean over all target tokens, from one padded batch and from the rows' sums."""
    tokens, valid = _padded(rows, side=side)
    targets = torch.where(valid, tokens.roll(1, dims=1), IGNORED_TARGET)
    counts = [row.shape[1] for row in rows]

    def alone() -> Tensor:
        sums = [
            cross_entropy(model(row), targets[index : index + 1][valid[index : index + 1]][None]) * count
            for index, (row, count) in enumerate(zip(rows, counts, strict=True))
        ]
        return torch.stack(sums).sum() / sum(counts)

    reference = _with_gradients(model, alone())
    return compare_named(
        case,
        reference=reference,
        observed=lambda: _with_gradients(model, cross_entropy(model(tokens, valid=valid), targets)),
        gradients=reference.keys() - {"loss"},
    )


def _decoded(case: str, model: Transformer, rows: list[Tensor]) -> Check:
    """The logits from which each row's tokens were chosen, and therefore the tokens."""
    tokens, valid = _padded(rows, side="left")
    new_tokens = 6
    with torch.inference_mode():
        alone = [greedy(model, row, new_tokens=new_tokens, cache="dynamic") for row in rows]
        reference = torch.cat(
            [model(torch.cat((row, new), dim=1))[0] for row, new in zip(rows, alone, strict=True)]
        )

    def together() -> Tensor:
        with torch.inference_mode():
            written = greedy(model, tokens, new_tokens=new_tokens, cache="dynamic", valid=valid)
            texts = [torch.cat((row, new[None]), dim=1) for row, new in zip(rows, written, strict=True)]
            return torch.cat([model(text)[0] for text in texts])

    return compare(case, reference=reference, observed=together)


def _translated(
    case: str, model: EncoderDecoder, sources: list[Tensor], targets: list[Tensor], *, side: Side
) -> Check:
    """Sources are padded on `side`, targets on the right."""
    source, source_valid = _padded(sources, side=side)
    target, target_valid = _padded(targets, side="right")
    with torch.inference_mode():
        alone = torch.cat([model(a, b)[0] for a, b in zip(sources, targets, strict=True)])

    def together() -> Tensor:
        with torch.inference_mode():
            logits: Tensor = model(source, target, source_valid=source_valid, target_valid=target_valid)
        return logits[target_valid]

    return compare(case, reference=alone, observed=together)


def _padded(rows: list[Tensor], *, side: Side) -> tuple[Tensor, Tensor]:
    """Rows (1, T) of different lengths as tokens and mask (B, longest)."""
    longest = max(row.shape[1] for row in rows)
    tokens, valid = [], []
    for row in rows:
        missing = longest - row.shape[1]
        where = (missing, 0) if side == "left" else (0, missing)
        tokens.append(F.pad(row, where, value=int(row[0, 0])))
        valid.append(F.pad(torch.ones_like(row, dtype=torch.bool), where))
    return torch.cat(tokens), torch.cat(valid)


def _with_gradients(model: torch.nn.Module, loss: Tensor) -> dict[str, Tensor]:
    """The loss and its gradient with respect to every parameter that it depends on."""
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    by_name = zip(parameters, gradients, strict=True)
    return {"loss": loss.detach(), **{name: gradient for name, gradient in by_name if gradient is not None}}
