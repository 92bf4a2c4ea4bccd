"""The cases of checkpointing-parity. Imported when checks run, never to list them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness.invariants.base import BITWISE, TOLERANCES, Check
from harness.invariants.comparison import compare_named
from harness.invariants.tiny import DTYPES, decoder_config, random_tokens, translator_config
from harness.subject import TrainingSubject
from models.config import NoCheckpointing
from models.init import build_model
from models.loss import cross_entropy

UPDATES = 5
WAYS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "none": ({"kind": "none"},),
    "blocks": ({"kind": "blocks"}, {"kind": "blocks", "every": 2}),
    "attention": ({"kind": "attention"},),
}

Step = Callable[[nn.Module, int], Tensor]
"""A model and the number of the update to its loss."""


def checkpointing_cases(level: str) -> Iterator[Check]:
    batches = [random_tokens(3, 11, seed=seed) for seed in range(UPDATES)]

    def step(model: nn.Module, update: int) -> Tensor:
        return cross_entropy(model(batches[update][:, :-1]), batches[update][:, 1:])

    def translation_step(model: nn.Module, update: int) -> Tensor:
        source, target = batches[update - 1], batches[update]
        return cross_entropy(model(source, target[:, :-1]), target[:, 1:])

    for dtype in DTYPES:
        for way in WAYS[level]:
            name = " ".join(str(value) for value in way.values())

            def decoder(how: Any, dtype: torch.dtype = dtype) -> nn.Module:
                return build_model(
                    decoder_config({}, n_layers=3, dropout=0.1, checkpointing=how), 0, dtype=dtype
                )

            def translator(how: Any, dtype: torch.dtype = dtype) -> nn.Module:
                return build_model(translator_config({}, dropout=0.1, checkpointing=how), 0, dtype=dtype)

            for kind, build, loss in (
                ("decoder", decoder, step),
                ("translator", translator, translation_step),
            ):
                yield compare_named(
                    f"{kind}, {name}: loss, gradients and {UPDATES} updates",
                    reference=_trained(build({"kind": "none"}), loss, _adamw, clip=1.0),
                    observed=lambda build=build, way=way, loss=loss: _trained(
                        build(way), loss, _adamw, clip=1.0
                    ),  # type: ignore[misc]
                    tolerances=BITWISE,
                )


def checkpointing_of_subject(subject: TrainingSubject) -> Iterator[Check]:
    """The arm's own model, batches, loss and optimizer; to the last bit on the CPU, where kernels repeat themselves."""
    plain = subject.config.model_copy(update={"checkpointing": NoCheckpointing()})
    updates = min(UPDATES, len(subject.batches))

    def step(model: Any, update: int) -> Tensor:
        return subject.loss_of(model, *subject.batches[update])

    def trained(config: Any) -> dict[str, Tensor]:
        return _trained(subject.build(config), step, subject.optimizer, clip=subject.clip, updates=updates)

    yield compare_named(
        f"the study's model: loss, gradients and {updates} updates",
        reference=trained(plain),
        observed=lambda: trained(subject.config),
        tolerances=BITWISE if subject.tokens.device.type == "cpu" else TOLERANCES,
    )


def _adamw(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=1e-2)


def _trained(
    model: Any,
    step: Step,
    optimizer: Callable[[Any], torch.optim.Optimizer],
    *,
    clip: float | None,
    updates: int = UPDATES,
) -> dict[str, Tensor]:
    """Losses, first gradients and last parameters, and the generator's next draw, of a few updates with dropout on."""
    device = next(model.parameters()).device
    built = optimizer(model.train())
    found: dict[str, Tensor] = {}
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        for update in range(updates):
            built.zero_grad()
            loss = step(model, update)
            torch.autograd.backward(loss)
            found[f"loss of update {update + 1}"] = loss.detach()
            if not update:
                found |= _gradients(model)
            nn.utils.clip_grad_norm_(model.parameters(), clip or math.inf)
            built.step()
        found["next random number"] = torch.rand(1, dtype=loss.dtype, device=device)
    return found | {name: each.detach() for name, each in model.named_parameters()}


def _gradients(model: nn.Module) -> dict[str, Tensor]:
    found = ((name, each.grad) for name, each in model.named_parameters())
    return {f"gradient of {name}": grad.clone() for name, grad in found if grad is not None}
