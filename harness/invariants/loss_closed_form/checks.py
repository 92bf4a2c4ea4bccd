"""The checks of loss-closed-form.

N positions, C width of a state, V tokens, ε label smoothing, ζ z-loss. At each counted position the loss is
log Z − (1 − ε) · logit[target] − ε · mean(logits) + ζ · (log Z)².
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from harness.invariants.base import Check
from harness.invariants.subjects import Subject
from harness.invariants.support.compare import compare_named
from harness.invariants.support.tiny import DTYPES, VOCABULARY
from harness.models import loss
from harness.models.config import IGNORED_TARGET, ChunkedLogits, LossConfig, WholeLogits
from harness.models.embedding import OutputProjection

POSITIONS, WIDTH = 17, 5
SMOOTHING, Z_LOSS = (0.0, 0.1), (0.0, 0.01)
# The targets that are ignored: none, some, all but one, all.
IGNORED = {
    "no target ignored": slice(0, 0),
    "5 of 17 ignored": slice(2, None, 3),
    "16 of 17 ignored": slice(1, None),
    "all ignored": slice(0, None),
}
ROWS = 2


def generic_checks(_level: str) -> Iterator[Check]:
    generator = torch.Generator().manual_seed(0)
    for dtype in DTYPES:
        hidden = torch.randn(POSITIONS, WIDTH, generator=generator, dtype=torch.float64).to(dtype)
        weight = torch.randn(VOCABULARY, WIDTH, generator=generator, dtype=torch.float64).to(dtype)
        for (name, ignored), smoothing, z_loss in product(IGNORED.items(), SMOOTHING, Z_LOSS):
            targets = torch.randint(VOCABULARY, (POSITIONS,), generator=torch.Generator().manual_seed(1))
            targets[ignored] = IGNORED_TARGET
            settings = LossConfig(label_smoothing=smoothing, z_loss=z_loss)
            yield from _compared(f"{name}, ε {smoothing:g}, ζ {z_loss:g}", hidden, weight, targets, settings)


def subject_checks(subject: Subject) -> Iterator[Check]:
    """The arm's own states and output weights; every third target is ignored."""
    model, tokens = subject.transformer, subject.tokens[:ROWS]
    with torch.no_grad():
        hidden = subject.hidden(tokens).flatten(0, 1)
        targets = tokens.roll(-1, dims=1).flatten().clone()
        targets[2::3] = IGNORED_TARGET
    settings = LossConfig(label_smoothing=0.1, z_loss=0.01)
    weight = model.output.weight.detach()
    yield from _compared("the study's own states", hidden, weight, targets, settings)


def _compared(
    case: str, hidden: Tensor, weight: Tensor, targets: Tensor, settings: LossConfig
) -> Iterator[Check]:
    expected = _closed_form(hidden, weight, targets, settings)
    for logits in (WholeLogits(), ChunkedLogits(positions=7)):
        chosen = settings.model_copy(update={"logits": logits})
        yield compare_named(
            f"{case}, {logits.kind}",
            reference=expected,
            observed=lambda chosen=chosen: _computed(hidden, weight, targets, chosen),  # type: ignore[misc]
        )


def _computed(hidden: Tensor, weight: Tensor, targets: Tensor, settings: LossConfig) -> dict[str, Tensor]:
    leaves = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
    output = OutputProjection(weight=leaves[1], bias=None, scale=1.0, soft_cap=None)
    value = loss.loss_of_hidden(leaves[0], output, targets, settings)
    by_hidden, by_weight = torch.autograd.grad(value, leaves)
    return {"by states": by_hidden, "by weights": by_weight, "loss": value.detach()}


def _closed_form(hidden: Tensor, weight: Tensor, targets: Tensor, settings: LossConfig) -> dict[str, Tensor]:
    """Computed position by position in float64, without autograd, and rounded at the end."""
    states, vectors = hidden.double(), weight.double()
    smoothing, z_loss = settings.label_smoothing, settings.z_loss
    counted = [index for index, target in enumerate(targets.tolist()) if target != IGNORED_TARGET]
    total = states.new_zeros(())
    by_states, by_weights = torch.zeros_like(states), torch.zeros_like(vectors)
    for index in counted:
        logits, target = vectors @ states[index], int(targets[index])
        highest = logits.max()
        log_z = highest + (logits - highest).exp().sum().log()
        total += log_z - (1 - smoothing) * logits[target] - smoothing * logits.mean() + z_loss * log_z**2
        slope = (logits - log_z).exp() * (1 + 2 * z_loss * log_z) - smoothing / len(logits)
        slope[target] -= 1 - smoothing
        by_states[index] += vectors.T @ slope
        by_weights += torch.outer(slope, states[index])
    count = max(1, len(counted))
    return {
        "by states": (by_states / count).to(hidden.dtype),
        "by weights": (by_weights / count).to(hidden.dtype),
        "loss": (total / count).to(torch.promote_types(hidden.dtype, torch.float32)),
    }
