"""Checks of a part that test_part_of_the_model.py has added to a copy of the harness.

Run as a program with the part, its new kind and an empty folder, with the copy first on the path.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, settings
from torch import Tensor

import harness
from harness.models.config import AnyModelConfig, ModelConfig
from harness.models.cost import cache_bytes
from harness.models.init import build_model
from harness.models.layer import Losses
from harness.models.transformer import Transformer
from tests.models.config.test_config import drawn, it_trains_decodes_and_round_trips, read_or_refused
from tests.training.bigram import Reported, run, updater, values

OFTEN = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
    phases=[Phase.generate],
)
SIZES = {"vocab_size": 7, "d_model": 8, "n_layers": 3, "n_heads": 2, "d_ff": 6, "max_positions": 48}


def check_combinations(part: str, kind: str, folder: Path) -> None:
    """The property test draws the new kind by itself, and models that have it pass."""
    kinds: set[str] = set()
    union = ModelConfig.model_fields[part].annotation
    OFTEN(given(drawn(union))(lambda document: kinds.add(document["kind"])))()
    assert kind in kinds, kinds

    def check(document: dict[str, Any]) -> None:
        config = read_or_refused({**document, part: {"kind": kind}})
        if config is not None:
            it_trains_decodes_and_round_trips(config, 0, cache="static", folder=folder / "checkpoint")

    OFTEN(given(drawn(ModelConfig if part == "attention" else AnyModelConfig))(check))()


def check_cache(model: Transformer) -> None:
    """Caches take the bytes of the closed form."""
    tokens = torch.zeros((2, 20), dtype=torch.long)
    for kind in ("dynamic", "static", "doubling"):
        cache = model.new_cache(kind, batch=2, capacity=20)
        assert cache is not None
        with torch.inference_mode():
            model.next_logits(tokens, cache=cache)
        sizes = {"batch": 2, "prompt": 20, "new_tokens": 1, "bytes_per_value": 4}
        assert cache.nbytes == cache_bytes(model.config, kind, **sizes), kind


def check_residual_outputs(config: ModelConfig) -> None:
    """The projections into the residual stream start smaller by the root of their number."""
    names = ("attention.out.weight", "feedforward.down.weight", "feedforward.experts.1.down.weight")
    scaled = build_model(config, 0).state_dict()
    as_they_are = build_model(
        config.model_copy(update={"init": config.init.model_copy(update={"residual": "one"})}), 0
    ).state_dict()
    outputs = [name for name in scaled if name.endswith(names)]
    assert len(outputs) >= 2 * config.n_layers
    for name in outputs:
        torch.testing.assert_close(scaled[name] * math.sqrt(2 * config.n_layers), as_they_are[name])


def check_auxiliary_loss(config: ModelConfig, name: str) -> None:
    """It reaches the gradient, weighted, however the update is computed, and is recorded."""
    weight = config.auxiliary_losses[name]
    tokens = torch.randint(7, (4, 9), generator=torch.Generator().manual_seed(0))
    batch = tokens[:, :-1].numpy(), tokens[:, 1:].numpy()

    def gradients(**changes: Any) -> tuple[dict[str, Tensor], Tensor]:
        model = build_model(config.model_copy(update=changes), 0, dtype=torch.float64)
        loss = updater(model).accumulate([batch], [32])
        assert loss.auxiliary is not None
        return {key: p.grad for key, p in model.named_parameters() if p.grad is not None}, loss.auxiliary[
            name
        ]

    expected, value = gradients()
    by_hand = build_model(config, 0, dtype=torch.float64)
    losses: Losses = {}
    hidden = by_hand.hidden(tokens[:, :-1], auxiliary=losses)
    mean = torch.nn.functional.cross_entropy(
        by_hand.output.logits(hidden).flatten(0, 1), tokens[:, 1:].flatten()
    )
    torch.testing.assert_close(losses[name], value, rtol=1e-9, atol=0.0)
    torch.autograd.backward(mean + weight * losses[name])
    close(expected, by_hand)

    recomputed, _ = gradients(checkpointing=config_of(checkpointing={"kind": "blocks"}).checkpointing)
    for key, gradient in expected.items():
        assert torch.equal(gradient, recomputed[key]), key

    compiled = build_model(config, 0, dtype=torch.float64)
    objective = updater(compiled).objective
    loss_of = torch.compile(objective._loss_of, backend="aot_eager", fullgraph=True)
    torch.autograd.backward(objective.minimised(loss_of(*objective.tensors(batch))))
    close(expected, compiled)

    parts = [tuple(array[rows] for array in batch) for rows in (slice(0, 1), slice(1, 4))]
    accumulated = build_model(config, 0, dtype=torch.float64)
    loss = updater(accumulated).accumulate(parts, [8, 24])
    separate = [updater(build_model(config, 0, dtype=torch.float64)).accumulate([p], [1]) for p in parts]
    assert loss.auxiliary is not None
    first, second = ((one.auxiliary or {})[name] for one in separate)
    torch.testing.assert_close(loss.auxiliary[name], first / 4 + second * 3 / 4, rtol=1e-9, atol=0.0)

    series = values(recorded(config), f"auxiliary_loss_{name}")
    assert len(series) == 3
    assert all(math.isfinite(number) for number in series)
    assert not [metric for metric, *_ in recorded(config_of()) if metric.startswith("auxiliary_loss_")]


def recorded(config: ModelConfig) -> Reported:
    return run(updater(build_model(config, 0)), updates=3)[1]


def config_of(**settings: Any) -> ModelConfig:
    return ModelConfig.model_validate({**SIZES, **settings})


def close(expected: dict[str, Tensor], model: Transformer) -> None:
    for key, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[key], rtol=1e-9, atol=1e-12)


def main(part: str, kind: str, folder: Path) -> None:
    assert Path(str(harness.__file__)).is_relative_to(folder), harness.__file__
    check_combinations(part, kind, folder)
    config = config_of(**{part: {"kind": kind}})
    check_cache(build_model(config, 0).eval())
    check_residual_outputs(config)
    for name in config.auxiliary_losses:
        check_auxiliary_loss(config, name)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
