"""The checks of padding-parity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from harness.invariants.base import CACHED, Check
from harness.invariants.subjects import Subject
from harness.invariants.support.compare import compare, compare_named
from harness.invariants.support.tiny import DTYPES, decoders, random_tokens, translators
from harness.models.config import IGNORED_TARGET, CacheKind
from harness.models.decoding.greedy import greedy
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.loss import cross_entropy
from harness.models.own import OwnDecoder
from harness.models.transformer import Transformer

Side = Literal["on the left", "on the right", "inside"]
SIDES: tuple[Side, ...] = ("on the left", "on the right", "inside")

LENGTHS = (3, 8, 13)
ROWS = 4


def generic_checks(_level: str) -> Iterator[Check]:
    for dtype in DTYPES:
        rows = [random_tokens(1, length, seed=length) for length in LENGTHS]
        for name, model in decoders(dtype):
            for side in SIDES:
                yield _batched(f"{name}: padded {side}", model, rows, side=side)
                yield _loss(f"{name}: loss and gradients, padded {side}", model, rows, side=side)
            same = [rows[-1]] * ROWS
            yield _batched(f"{name}: {ROWS} rows without padding", model, same, side="on the right")
            for side in ("on the left", "inside"):  # decoding goes on after the last column
                yield _decoded(f"{name}: greedy tokens, padded {side}", model, rows, side=side)
            for kind in CACHED:
                yield _in_pieces(f"{name}: padded inside, {kind} cache", model, rows, kind=kind)
        sources = [random_tokens(1, length, seed=20 + length) for length in reversed(LENGTHS)]
        for name, translator in translators(dtype):
            for side in SIDES:
                yield _translated(f"{name}: padded {side}", translator, sources, rows, side=side)


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
            f"{len(shortest)} of the study's rows, padded {side}", subject.model, shortest, side=side
        )


def _sources_of_subject(subject: Subject, model: EncoderDecoder, targets: list[Tensor]) -> Iterator[Check]:
    """The arm's own sources without their padding."""
    assert subject.sources is not None
    rows = [row[row != 0][None] for row in subject.sources[: len(targets)]]
    for side in SIDES:
        yield _translated(f"the study's sources, padded {side}", model, rows, targets, side=side)


def _batched(case: str, model: Transformer | OwnDecoder, rows: list[Tensor], *, side: Side) -> Check:
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


def _in_pieces(case: str, model: Transformer, rows: list[Tensor], *, kind: CacheKind) -> Check:
    """The logits of rows that a cache takes in pieces, the last ones of one column."""
    tokens, valid = _padded(rows, side="inside")
    columns = tokens.shape[1]
    pieces = [columns // 2, 3, *[1] * (columns - columns // 2 - 3)]
    with torch.inference_mode():
        alone = torch.cat([model(row)[0] for row in rows])

    def cached() -> Tensor:
        with torch.inference_mode():
            cache = model.new_cache(kind, batch=len(rows), capacity=columns)
            parts = zip(torch.split(tokens, pieces, 1), torch.split(valid, pieces, 1), strict=True)
            logits = [model(part, cache=cache, valid=real) for part, real in parts]
        return torch.cat(logits, dim=1)[valid]

    return compare(case, reference=alone, observed=cached)


def _decoded(case: str, model: Transformer, rows: list[Tensor], *, side: Side) -> Check:
    """The logits from which each row's tokens were chosen, and therefore the tokens."""
    tokens, valid = _padded(rows, side=side)
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
    """Sources and targets are padded alike."""
    source, source_valid = _padded(sources, side=side)
    target, target_valid = _padded(targets, side=side)
    with torch.inference_mode():
        alone = torch.cat([model(a, b)[0] for a, b in zip(sources, targets, strict=True)])

    def together() -> Tensor:
        with torch.inference_mode():
            logits: Tensor = model(source, target, source_valid=source_valid, target_valid=target_valid)
        return logits[target_valid]

    return compare(case, reference=alone, observed=together)


def _padded(rows: list[Tensor], *, side: Side) -> tuple[Tensor, Tensor]:
    """Rows (1, T) of different lengths as tokens and mask (B, longest). Padding inside is after the first
    half of a row.
    """
    longest = max(row.shape[1] for row in rows)
    tokens, valid = [], []
    for row in rows:
        length = row.shape[1]
        before = {"on the left": 0, "on the right": length, "inside": length // 2}[side]
        real = torch.ones(1, longest, dtype=torch.bool, device=row.device)
        real[:, before : before + longest - length] = False
        padded = row[:, :1].repeat(1, longest)
        padded[real] = row.flatten()
        tokens.append(padded)
        valid.append(real)
    return torch.cat(tokens), torch.cat(valid)


def _with_gradients(model: torch.nn.Module, loss: Tensor) -> dict[str, Tensor]:
    """The loss and its gradient with respect to every parameter that it depends on."""
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    by_name = zip(parameters, gradients, strict=True)
    return {"loss": loss.detach(), **{name: gradient for name, gradient in by_name if gradient is not None}}
