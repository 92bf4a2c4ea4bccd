"""Tiny random models that differ in every part, and short trainings whose values can all be compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from harness.models.config import (
    IGNORED_TARGET,
    Architecture,
    EncoderDecoderConfig,
    LearnedPosition,
    LossConfig,
    ModelConfig,
)
from harness.models.config.own import OwnDecoderConfig
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.init import build_model
from harness.models.transformer import Transformer
from harness.training.loop import Costs, LoopSettings, Trained, Training
from harness.training.objective import MicroBatch, Objective, counted
from harness.training.optim import AdamW, OptimizerSettings
from harness.training.parallel.layout import Layout
from harness.training.precision import Float32, Precision
from harness.training.schedule import Schedule
from harness.training.update import Updater

VOCABULARY = 13
DTYPES = (torch.float64, torch.float32)

# With large weights, so that a wrong key or a wrong token changes the results.
SIZES: Mapping[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "n_heads": 2,
    "d_ff": 24,
    "max_positions": 40,
    "init_std": 0.3,
}
MATERIALISED = {"kernel": {"kind": "materialised"}}
DECODERS: Mapping[str, Mapping[str, Any]] = {
    "rotary": {},
    "sinusoidal, post-norm": {"position": {"kind": "sinusoidal"}, "norm_placement": "post"},
    "learned, materialised": {"position": {"kind": "learned"}, "attention": MATERIALISED},
    "relative, grouped queries": {"position": {"kind": "relative"}, "attention": {"n_kv_heads": 1}},
    "alibi, windows": {"position": {"kind": "alibi"}, "attention": {"windows": [4, None]}},
    "no positions, windows, materialised": {
        "position": {"kind": "none"},
        "attention": {**MATERIALISED, "windows": [None, 3]},
    },
}
TRANSLATORS: Mapping[str, Mapping[str, Any]] = {
    "translator, learned, windows": {
        "position": {"kind": "learned"},
        "attention": {"windows": [None, 3]},
    },
    "translator, relative, materialised": {"position": {"kind": "relative"}, "attention": MATERIALISED},
}
# Settings of a model without biases on keys. The gradients of these biases consist of rounding errors, which
# Adam would magnify to full steps.
NO_KEY_BIAS: Mapping[str, Any] = {"attention": {"qkv_bias": False}}


def decoder_config(settings: Mapping[str, Any], **others: Any) -> ModelConfig:
    return ModelConfig.model_validate({**SIZES, "n_layers": 2, **settings, **others})


def translator_config(settings: Mapping[str, Any], **others: Any) -> EncoderDecoderConfig:
    return EncoderDecoderConfig.model_validate(
        {**SIZES, "n_encoder_layers": 2, "n_decoder_layers": 2, **settings, **others}
    )


def built(kind: str, settings: Mapping[str, Any], dtype: torch.dtype, **others: Any) -> nn.Module:
    """A model of kind "decoder" or "translator"."""
    if kind == "decoder":
        return build_model(decoder_config(settings, **others), 0, dtype=dtype)
    return build_model(translator_config(settings, **others), 0, dtype=dtype)


def decoders(dtype: torch.dtype, **others: Any) -> Iterator[tuple[str, Transformer]]:
    """One model of each kind, in evaluation mode."""
    for name, settings in DECODERS.items():
        yield name, build_model(decoder_config(settings, **others), 0, dtype=dtype).eval()


def translators(dtype: torch.dtype, **others: Any) -> Iterator[tuple[str, EncoderDecoder]]:
    for name, settings in TRANSLATORS.items():
        yield name, build_model(translator_config(settings, **others), 0, dtype=dtype).eval()


def random_tokens(rows: int, tokens: int, *, seed: int = 0, vocabulary: int = VOCABULARY) -> Tensor:
    """(rows, tokens) int64."""
    return torch.randint(vocabulary, (rows, tokens), generator=torch.Generator().manual_seed(seed))


def tiny_model(*, vocabulary: int, dtype: torch.dtype) -> Transformer:
    """A random model with logits that differ enough for continuations to vary."""
    config = ModelConfig(
        vocab_size=vocabulary,
        d_model=16,
        n_layers=2,
        n_heads=2,
        d_ff=32,
        max_positions=32,
        position=LearnedPosition(),
        tie_embeddings=False,
        init_std=0.6,
    )
    return build_model(config, 0, dtype=dtype).eval()


def random_prompts(rows: int, tokens: int, *, vocabulary: int) -> Tensor:
    return torch.randint(vocabulary, (rows, tokens), generator=torch.Generator().manual_seed(1))


LENGTH = 12

Config = TypeVar("Config", bound=Architecture | OwnDecoderConfig)

MicroBatches = Sequence[MicroBatch]
"""The micro-batches of one update."""


def tiny_updater(
    model: nn.Module,
    *,
    optimizer: OptimizerSettings | None = None,
    clip: float = 1.0,
    precision: Precision | None = None,
    layout: Layout | None = None,
) -> Updater:
    """An updater for a model in training mode, with AdamW and everything in its own precision by default."""
    layout = layout or Layout()
    trained = layout.prepare(model.train())
    objective = Objective(trained, LossConfig(label_smoothing=0.1, z_loss=1e-3))
    built = (optimizer or AdamW(lr=1e-2)).build(trained)
    return Updater(objective, built, precision=precision or Float32(), clip=clip, layout=layout)


def random_batch(
    seed: int, *, rows: int = 3, counts: Sequence[int] | None = None, source: bool = False
) -> MicroBatch:
    """Inputs and targets, and for a translator also a source. `counts` are the numbers of counted targets per
    row; without it all targets count.
    """
    generator = np.random.default_rng(seed)
    size = (rows, LENGTH)
    targets = generator.integers(0, VOCABULARY, size)
    for row, count in enumerate(counts or ()):
        targets[row, count:] = IGNORED_TARGET
    batch = generator.integers(0, VOCABULARY, size), targets
    return (generator.integers(1, VOCABULARY, (rows, 7)), *batch) if source else batch


def gradients(updater: Updater, micro_batches: MicroBatches) -> dict[str, Tensor]:
    """The gradient of every parameter and the loss of an update, which is not applied."""
    model = updater.objective.model
    with seeded(model):
        loss = updater.accumulate(micro_batches, [counted(batch) for batch in micro_batches]).mean
    by_name = {f"gradient of {name}": grad for name, grad in _gradients(model)}
    updater.optimizer.zero_grad(set_to_none=True)
    return {**by_name, "loss": loss.to(next(model.parameters()).dtype)}


def training_values(updater: Updater, updates: Sequence[MicroBatches]) -> dict[str, Tensor]:
    """The losses and norms of some updates, the final parameters, and the next random number."""
    model = updater.objective.model
    dtype = next(model.parameters()).dtype
    values: dict[str, Tensor] = {}
    with seeded(model):
        for number, micro_batches in enumerate(updates, start=1):
            update = updater(micro_batches)
            values[f"loss of update {number}"] = update.loss.to(dtype)
            values[f"gradient norm of update {number}"] = update.norm.to(dtype)
        after = torch.rand(1, dtype=torch.float32, device=updater.objective.device).to(dtype)
    return {**parameters(updater.layout.gathered(model)), **values, "next random number": after}


def parameters(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def tolerances_for(updater: Updater, tolerances: Mapping[str, float]) -> dict[str, float]:
    """The tolerances, with that of the products' precision for weights of any precision."""
    computed, weights = updater.precision.computed, updater.precision.master_weights
    return {**tolerances, weights: tolerances[computed]}


def _gradients(model: nn.Module) -> list[tuple[str, Tensor]]:
    named = ((name, parameter.grad) for name, parameter in model.named_parameters())
    return [(name, gradient.clone()) for name, gradient in named if gradient is not None]


@contextmanager
def seeded(model: nn.Module) -> Iterator[None]:
    """The same random numbers for dropout each time; the generator's state is restored afterwards."""
    device = next(model.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)
        yield


def without_dropout(config: Config) -> Config:
    """The config without dropout, for comparisons of layouts that would draw different random numbers.

    In the config of a plug-in, it is the field `dropout`, if there is one.
    """
    if isinstance(config, OwnDecoderConfig):
        has_dropout = "dropout" in type(config).model_fields
        return config.model_copy(update={"dropout": 0.0} if has_dropout else {})
    attention = config.attention.model_copy(update={"dropout": None})
    return config.model_copy(update={"dropout": 0.0, "attention": attention})


class RepeatedBatches:
    """The same micro-batches again and again."""

    def __init__(self, batches: Sequence[MicroBatch]) -> None:
        self._batches, self._position = batches, 0

    @property
    def first(self) -> MicroBatch:
        return self._batches[0]

    def __next__(self) -> MicroBatch:
        self._position += 1
        return self._batches[(self._position - 1) % len(self._batches)]

    def state(self) -> Mapping[str, Any]:
        return {"position": self._position}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._position = state["position"]


@dataclass(frozen=True, kw_only=True)
class RecordedTraining:
    """A training, and the values of each metric that it records, in order."""

    training: Training
    recorded: Mapping[str, list[float]]


def make_training(
    updater: Updater,
    data: RepeatedBatches,
    *,
    schedule: Schedule,
    updates: int,
    accumulate: int = 1,
    save_every: int | None = None,
) -> RecordedTraining:
    """A training that has not run yet. It evaluates once, at the end, on the first micro-batch."""
    recorded: dict[str, list[float]] = defaultdict(list)
    settings = LoopSettings(
        updates=updates,
        schedule=schedule,
        accumulate=accumulate,
        evaluate_every=updates,
        save_every=save_every,
        divergence=None,
    )
    training = Training(
        updater,
        data,
        settings,
        evaluation=lambda: [data.first],
        report=lambda metric, value, step, /: recorded[metric].append(value),  # noqa: ARG005
        costs=Costs(chance=1.0, flops_of=lambda batch: float(batch[0].size)),
    )
    return RecordedTraining(training=training, recorded=recorded)


def run_training(
    updater: Updater, data: RepeatedBatches, *, schedule: Schedule, updates: int, accumulate: int = 1
) -> tuple[Trained, Mapping[str, list[float]]]:
    """Train to the end; returns the work that was spent, and the values of each metric."""
    made = make_training(updater, data, schedule=schedule, updates=updates, accumulate=accumulate)
    return made.training.run(), made.recorded
