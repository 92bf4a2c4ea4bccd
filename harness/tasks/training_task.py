"""What every task that trains has: a model, a batch, an optimizer and a precision, and the updates that they
make.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from harness.config import Config
from harness.data.tokenizer import tokenizer_config
from harness.errors import did_you_mean
from harness.invariants.subjects import Subject, TrainingSubject
from harness.models.config import (
    PRESETS,
    TRANSLATION_PRESETS,
    ChunkedLogits,
    EncoderDecoderConfig,
    LossConfig,
)
from harness.models.cost import decoder_flops_per_token, encoder_flops_per_token, flops_per_token
from harness.tasks.base import Context, Task
from harness.training.models import TrainedModelConfig
from harness.training.optim import OptimizerConfig, OptimizerSettings
from harness.training.parallel.config import ONE_PROCESS, Parallel
from harness.training.parallel.fits import DividedTraining, check_divisible
from harness.training.precision import BFloat16, Float16Autocast, Float16Scaled, Float32, PrecisionConfig
from harness.training.schedule import LearningRateScaling

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor, nn

    from harness.training.objective import MicroBatch
    from harness.training.parallel.layout import Layout
    from harness.training.schedule import Schedule
    from harness.training.update import Updater

# The logits of a batch are by far the largest tensors of a small model, so they are computed in chunks.
CHUNKED = LossConfig(logits=ChunkedLogits())

# The number of an arm's updates that invariants compare.
UPDATES_TO_CHECK = 5


def with_preset(settings: dict[str, Any]) -> dict[str, Any]:
    """`{preset: nano, n_layers: 4}` becomes the preset's settings, with the settings next to it replaced.

    Raises ValueError if there is no such preset.
    """
    changes = dict(settings)
    if "preset" not in changes:
        return changes
    preset = changes.pop("preset")
    if preset in TRANSLATION_PRESETS:
        return {"kind": "encoder-decoder", **TRANSLATION_PRESETS[preset], **changes}
    if preset not in PRESETS:
        hint = did_you_mean(str(preset), [*PRESETS, *TRANSLATION_PRESETS])
        raise ValueError(f"model has no preset {preset!r}" + (f"; {hint}" if hint else ""))
    return {**PRESETS[preset], **changes}


class TokenBudget(Config):
    """As many rows of similar length as have at most `tokens` tokens per side, padding included."""

    tokens: int = Field(gt=0)
    """The largest number of tokens per side in a batch, padding included."""


class TrainingTask(Task):
    """An update takes `batch` rows of `length` tokens, as `accumulate` micro-batches of `batch / accumulate`
    rows.

    An encoder-decoder may have a batch of `{tokens: n}` instead, of pairs with at most `length` tokens per
    side. `lr_scaling` adapts the optimizer's learning rate to the number of rows of an update. With
    `compile`, torch compiles the step.
    """

    offers: ClassVar[type[Subject] | None] = TrainingSubject

    imports: ClassVar[tuple[str, ...]] = ("torch._dynamo",)  # torch's optimizers need it; takes 2 seconds

    model: TrainedModelConfig
    """The model that is trained: a preset or sizes, and every choice of the architecture."""

    batch: Annotated[int, Field(gt=0)] | TokenBudget
    """The rows of an update; for an encoder-decoder also `{tokens: n}`."""

    length: int = Field(gt=0)
    """The tokens of a row. For translations, the largest number of tokens per side."""

    accumulate: int = Field(default=1, gt=0)
    """The number of micro-batches into which the batch of an update is divided."""

    optimizer: OptimizerConfig
    """The optimizer with its learning rate and its other settings."""

    lr_scaling: LearningRateScaling = LearningRateScaling()
    """How the learning rate depends on the number of rows of an update."""

    precision: PrecisionConfig = Float32()
    """The number format in which the training computes."""

    loss: LossConfig = CHUNKED
    """The training objective, and how the logits are computed."""

    clip: float | None = Field(default=1.0, gt=0.0)
    """The largest norm of the gradient; a longer gradient is scaled down. null switches clipping off."""

    compile: bool = False
    """Whether torch compiles the step of the training."""

    parallel: Parallel = Field(default=ONE_PROCESS, exclude_if=Parallel.is_default)
    """The processes that train the model together, with one device for each. The default is one process."""

    @property
    def ranks(self) -> int:
        return self.parallel.ranks

    @property
    def modules(self) -> tuple[str, ...]:
        return (*self.imports, *self.parallel.modules)

    def check_installed(self) -> None:
        self.optimizer.check_installed()

    def objective(self) -> tuple[float, ...]:
        return self.loss.label_smoothing, self.loss.z_loss

    @property
    def batch_size(self) -> int:
        """Rows of an update, or its tokens per side if the batch is given in tokens."""
        return self.batch if isinstance(self.batch, int) else self.batch.tokens

    @property
    def micro_batch(self) -> int:
        """Rows or tokens of a micro-batch."""
        return self.batch_size // self.accumulate

    @property
    def rows(self) -> int:
        """Rows of an update; if the batch is given in tokens, as many of the longest rows as fit."""
        return self.batch if isinstance(self.batch, int) else max(1, self.batch.tokens // self.length)

    @property
    def update_tokens(self) -> int:
        """Target tokens of an update; for translations, whose lengths differ, the greatest number."""
        return self.batch * self.length if isinstance(self.batch, int) else self.batch.tokens

    @model_validator(mode="before")
    @classmethod
    def _resolve_model(cls, document: Any) -> Any:
        """`model: {preset: nano}` becomes the preset's sizes, with the vocabulary of the tokenizer if the
        task has one.
        """
        if not isinstance(document, dict) or not isinstance(document.get("model"), dict):
            return document
        settings = with_preset(document["model"])
        if "vocab_size" not in settings and "tokenizer" in document and "tokenizer" in cls.model_fields:
            settings["vocab_size"] = tokenizer_config(document["tokenizer"]).vocab_size
        return {**document, "model": settings}

    @model_validator(mode="after")
    def _can_be_trained(self) -> Self:
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch {self.batch_size} cannot be divided into {self.accumulate} equal micro-batches "
                "(accumulate)"
            )
        translates, in_rows = isinstance(self.model, EncoderDecoderConfig), isinstance(self.batch, int)
        if not translates and not in_rows:
            raise ValueError("batch.tokens is for translation; give a decoder's batch as a number of rows")
        if self.length > self.model.max_positions:
            raise ValueError(
                f"length {self.length} is more than the model's max_positions {self.model.max_positions}"
            )
        if self.compile and not isinstance(self.batch, int):
            raise ValueError(
                "compile needs batches of one shape; with batch {tokens: n} torch would compile every width "
                "anew during updates that are timed. Use a number of rows, or leave compile out"
            )
        half = isinstance(self.precision, Float16Autocast | Float16Scaled)
        if half and isinstance(self.loss.logits, ChunkedLogits):
            raise ValueError(
                f"precision {self.precision.kind} needs loss.logits.kind whole, because the gradients of "
                "chunked logits are computed before the loss is scaled"
            )
        check_divisible(
            self.parallel,
            DividedTraining(
                model=self.model, optimizer=self.optimizer, compiles=self.compile, rows=self.micro_batch
            ),
        )
        if isinstance(self.precision, BFloat16) and self.optimizer.decomposes_matrices:
            raise ValueError(
                f"optimizer {self.optimizer.kind} decomposes matrices, which is impossible with bfloat16 "
                "weights; use precision bf16-autocast"
            )
        return self

    @property
    def scaled_optimizer(self) -> OptimizerSettings:
        """The optimizer with the learning rate that `lr_scaling` gives for this batch."""
        return self.optimizer.scaled(self.lr_scaling.factor(self.batch_size))

    def training_flops(self, batch: MicroBatch) -> float:
        """The FLOPs of all matrix products, forward and backward (which take twice as many). Activations that
        checkpointing computes again are not counted.
        """
        keys = batch[-1].shape[1]
        if not isinstance(self.model, EncoderDecoderConfig):
            return 3.0 * batch[-1].size * flops_per_token(self.model, keys=keys)
        source = batch[0].shape[1]
        encoder = batch[0].size * encoder_flops_per_token(self.model, source=source)
        return 3.0 * (
            encoder + batch[-1].size * decoder_flops_per_token(self.model, keys=keys, source=source)
        )

    def row_flops(self) -> float:
        """The FLOPs of a forward pass over a row of `length` tokens per side."""
        length = self.length
        if not isinstance(self.model, EncoderDecoderConfig):
            return length * flops_per_token(self.model, keys=length)
        return length * (
            encoder_flops_per_token(self.model, source=length)
            + decoder_flops_per_token(self.model, keys=length, source=length)
        )

    def updater(self, model: nn.Module, layout: Layout | None = None) -> Updater:
        """What makes updates of `model`, which is converted to the precision of its weights. Without a layout
        this process is the only one, whatever `parallel` says.
        """
        from harness.training.objective import Objective
        from harness.training.parallel.layout import Layout
        from harness.training.update import Updater

        layout = layout or Layout()
        trained = layout.prepare(model.to(self.precision.weights_dtype))
        objective = Objective(trained, self.loss)
        optimizer = self.scaled_optimizer.build(trained)
        return Updater(objective, optimizer, precision=self.precision, clip=self.clip, layout=layout)

    def word_vectors(self) -> Tensor | None:
        """The first vectors of a pretrained embedding (tokens, width); None for every other embedding."""
        return None

    def training_subject(
        self, context: Context, micro_batches: Sequence[MicroBatch], schedule: Schedule
    ) -> TrainingSubject:
        """The model in its first state with the first micro-batches of the data, on which invariants are
        checked.

        A batch of translations has sources, inputs of the decoder and targets.
        """
        import torch

        build = _FirstModel(
            seed=context.seed,
            device=context.device,
            vectors=self.word_vectors(),
            dtype=self.precision.weights_dtype,
        )

        def tensor(index: int) -> Tensor:
            return torch.from_numpy(micro_batches[0][index]).to(context.device, torch.int64)

        return TrainingSubject(
            model=build(self.model).eval(),
            tokens=tensor(-2),
            sources=tensor(0) if isinstance(self.model, EncoderDecoderConfig) else None,
            config=self.model,
            build=build,
            updater=self.updater,
            micro_batches=micro_batches,
            accumulate=self.accumulate,
            schedule=schedule,
            compiles=self.compile,
            parallel=self.parallel,
        )

    def compiled(self, updater: Updater, batch: MicroBatch) -> float:
        """The seconds of the first forward and backward pass, which compiles. Gradients and random numbers
        are the same afterwards as before.
        """

        import torch

        started = time.perf_counter()
        updater.objective.compile()
        cuda = updater.objective.device.type == "cuda"
        with torch.random.fork_rng(devices=None if cuda else []):
            updater.accumulate([batch], [1])
            if cuda:
                torch.cuda.synchronize()
        updater.optimizer.zero_grad(set_to_none=True)
        return time.perf_counter() - started


@dataclass(frozen=True, kw_only=True)
class _FirstModel:
    """Builds the model of an arm in its first state, as often as it is called."""

    seed: int
    device: str
    vectors: Tensor | None
    dtype: torch.dtype

    def __call__(self, config: Any, *, device: str | None = None) -> Any:
        from harness.models.init import build_model

        built = build_model(config, self.seed, device=device or self.device, vectors=self.vectors)
        return built.to(self.dtype)
