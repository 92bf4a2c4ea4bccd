"""What every task that trains has: a model, a batch, an optimizer, a precision; and how they become updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from harness.errors import did_you_mean
from harness.subject import Subject, TrainingSubject
from harness.tasks.base import Context, Task
from harness.training.optim import OptimizerConfig, OptimizerSettings
from harness.training.precision import BFloat16, Float16Autocast, Float16Scaled, Float32, PrecisionConfig
from harness.training.schedule import LearningRateScaling
from models.config import PRESETS, ChunkedLogits, LossConfig, ModelConfig
from models.cost import flops_per_token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from harness.training.objective import Batch
    from harness.training.schedule import Schedule
    from harness.training.update import Updater
    from models.transformer import Transformer

# The logits of a batch are by far the largest tensors of a small model: so they never all exist.
CHUNKED = LossConfig(logits=ChunkedLogits())

# Invariants compare so many of an arm's updates.
UPDATES_TO_CHECK = 5


def with_preset(settings: dict[str, Any]) -> dict[str, Any]:
    """`{preset: nano, n_layers: 4}` becomes the preset's settings, then what is said beside it. ValueError: no such preset."""
    own = dict(settings)
    if "preset" not in own:
        return own
    preset = own.pop("preset")
    if not isinstance(preset, str) or preset not in PRESETS:
        hint = did_you_mean(str(preset), PRESETS)
        raise ValueError(f"model has no preset {preset!r}" + (f"; {hint}" if hint else ""))
    return {**PRESETS[preset], **own}


class TrainingTask(Task):
    """An update takes `batch` rows of `length` tokens, as `accumulate` micro-batches of `batch / accumulate` rows.

    `lr_scaling` adapts the optimizer's learning rate to the rows of an update. `compile` has torch compile the step.
    """

    offers: ClassVar[type[Subject] | None] = TrainingSubject

    model: ModelConfig
    batch: int = Field(gt=0)
    length: int = Field(gt=0)
    accumulate: int = Field(default=1, gt=0)
    optimizer: OptimizerConfig
    lr_scaling: LearningRateScaling = LearningRateScaling()
    precision: PrecisionConfig = Float32()
    loss: LossConfig = CHUNKED
    clip: float | None = Field(default=1.0, gt=0.0)
    compile: bool = False

    @property
    def micro_batch(self) -> int:
        """Rows of a micro-batch."""
        return self.batch // self.accumulate

    @model_validator(mode="after")
    def _can_be_trained(self) -> Self:
        if self.batch % self.accumulate:
            raise ValueError(
                f"batch {self.batch} does not divide into accumulate {self.accumulate} micro-batches"
            )
        if self.length > self.model.max_positions:
            raise ValueError(
                f"length {self.length} is beyond the model's max_positions {self.model.max_positions}"
            )
        half = isinstance(self.precision, Float16Autocast | Float16Scaled)
        if half and isinstance(self.loss.logits, ChunkedLogits):
            raise ValueError(
                f"precision {self.precision.kind} needs loss.logits.kind whole: gradients of chunked logits are taken "
                "before the loss is scaled"
            )
        if isinstance(self.precision, BFloat16) and self.optimizer.kind in ("shampoo", "soap"):
            raise ValueError(
                f"optimizer {self.optimizer.kind} decomposes matrices, which bfloat16 weights do not allow; "
                "choose precision bf16-autocast"
            )
        return self

    @property
    def scaled_optimizer(self) -> OptimizerSettings:
        """The optimizer with the learning rate for this batch."""
        return self.optimizer.scaled(self.lr_scaling.factor(self.batch))

    def training_flops(self, batch: Batch) -> float:
        """Of the products forward and backward, which cost twice as many; what checkpointing computes again is not counted."""
        tokens, length = batch[0].size, batch[0].shape[1]
        return 3.0 * tokens * flops_per_token(self.model, keys=length)

    def updater(self, model: nn.Module) -> Updater:
        """`model`, in the precision of its weights, with its optimizer."""
        from harness.training.objective import Objective
        from harness.training.update import Updater

        objective = Objective(model.to(self.precision.weights_dtype), self.loss)
        return Updater(
            objective, self.scaled_optimizer.build(model), precision=self.precision, clip=self.clip
        )

    def training_subject(
        self, context: Context, micro_batches: Sequence[Batch], schedule: Schedule
    ) -> TrainingSubject:
        """What invariants are checked on: the model in its first state, and the first micro-batches of the data."""
        import torch

        from models.init import build_model

        def build(config: ModelConfig) -> Transformer:
            model = build_model(config, context.seed, device=context.device)
            return model.to(self.precision.weights_dtype)

        return TrainingSubject(
            model=build(self.model).eval(),
            tokens=torch.from_numpy(micro_batches[0][0]).to(context.device),
            config=self.model,
            build=build,
            updater=self.updater,
            micro_batches=micro_batches,
            accumulate=self.accumulate,
            schedule=schedule,
            compiles=self.compile,
        )

    def compiled(self, updater: Updater, batch: Batch) -> float:
        """Seconds that the first forward and backward pass took, compiling; gradients and random numbers are left as they were."""
        import time

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
