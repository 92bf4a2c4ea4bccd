"""The cases of checkpointing-parity. Imported when checks run, never to list them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from harness.invariants.base import BITWISE, TOLERANCES, Check
from harness.invariants.subjects import TrainingSubject
from harness.invariants.support.compare import compare_named
from harness.invariants.support.tiny_models import DTYPES, decoder_config, translator_config
from harness.invariants.support.tiny_training import Update, gradients, random_batch, tiny_updater, trained
from harness.models.config import NoCheckpointing
from harness.models.init import build_model
from harness.training.update import Updater

UPDATES = 5
WAYS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "none": ({"kind": "none"},),
    "blocks": ({"kind": "blocks"}, {"kind": "blocks", "every": 2}),
    "attention": ({"kind": "attention"},),
}


def generic_checks(level: str) -> Iterator[Check]:
    for dtype in DTYPES:
        for way in WAYS[level]:
            for kind in ("decoder", "translator"):
                updates = [[random_batch(seed, source=kind == "translator")] for seed in range(UPDATES)]
                yield compare_named(
                    f"{kind}, {' '.join(map(str, way.values()))}: loss, gradients and {UPDATES} updates",
                    reference=_run(tiny_updater(_tiny(kind, {"kind": "none"}, dtype)), updates),
                    observed=lambda kind=kind, way=way, dtype=dtype, updates=updates: _run(  # type: ignore[misc]
                        tiny_updater(_tiny(kind, way, dtype)), updates
                    ),
                    tolerances=BITWISE,
                )


def subject_checks(subject: TrainingSubject) -> Iterator[Check]:
    """The arm's own model, batches, loss and optimizer; to the last bit on the CPU, where kernels repeat
    themselves.
    """
    plain = subject.config.model_copy(update={"checkpointing": NoCheckpointing()})
    updates = subject.updates(UPDATES)
    yield compare_named(
        f"the study's model: loss, gradients and {len(updates)} updates",
        reference=_run(subject.updater(subject.build(plain)), updates),
        observed=lambda: _run(subject.updater(subject.build(subject.config)), updates),
        tolerances=BITWISE if subject.tokens.device.type == "cpu" else TOLERANCES,
    )


def _tiny(kind: str, way: Mapping[str, Any], dtype: torch.dtype) -> nn.Module:
    if kind == "decoder":
        return build_model(decoder_config({}, n_layers=3, dropout=0.1, checkpointing=way), 0, dtype=dtype)
    return build_model(translator_config({}, dropout=0.1, checkpointing=way), 0, dtype=dtype)


def _run(updater: Updater, updates: Sequence[Update]) -> dict[str, Tensor]:
    return {**gradients(updater, updates[0]), **trained(updater, updates)}
