"""What every task that trains has: a model, a batch, an optimizer, a precision; and how they become updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from harness.config import Config
from harness.errors import did_you_mean
from harness.invariants.subjects import Subject, TrainingSubject
from harness.models.config import (
    PRESETS,
    TRANSLATION_PRESETS,
    AnyModelConfig,
    ChunkedLogits,
    LossConfig,
    ModelConfig,
)
from harness.models.cost import decoder_flops_per_token, encoder_flops_per_token, flops_per_token
from harness.tasks.base import Context, Task
from harness.training.optim import OptimizerConfig, OptimizerSettings
from harness.training.precision import BFloat16, Float16Autocast, Float16Scaled, Float32, PrecisionConfig
from harness.training.schedule import LearningRateScaling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from harness.training.objective import Batch
    from harness.training.schedule import Schedule
    from harness.training.update import Updater

# The logits of a batch are by far the largest tensors of a small model: so they never all exist.
CHUNKED = LossConfig(logits=ChunkedLogits())

# Invariants compare so many of an arm's updates.
UPDATES_TO_CHECK = 5


def with_preset(settings: dict[str, Any]) -> dict[str, Any]:
    """`{preset: nano, n_layers: 4}` becomes the preset's settings, then what is said beside it.

    ValueError: no such preset.
    """
    own = dict(settings)
    if "preset" not in own:
        return own
    preset = own.pop("preset")
    if preset in TRANSLATION_PRESETS:
        return {"kind": "encoder-decoder", **TRANSLATION_PRESETS[preset], **own}
    if preset not in PRESETS:
        hint = did_you_mean(str(preset), [*PRESETS, *TRANSLATION_PRESETS])
        raise ValueError(f"model has no preset {preset!r}" + (f"; {hint}" if hint else ""))
    return {**PRESETS[preset], **own}


class TokenBudget(Config):
    """As many rows of like length as hold at most `tokens` tokens a side, padding included."""

    tokens: int = Field(gt=0)


class TrainingTask(Task):
    """An update takes `batch` rows of `length` tokens, as `accumulate` micro-batches of `batch / accumulate`
    rows.

    An encoder-decoder may have a batch of `{tokens: n}` instead, of pairs of at most `length` tokens a side.
    `lr_scaling` adapts the optimizer's learning rate to the rows of an update. `compile` has torch compile
    the step.
    """

    offers: ClassVar[type[Subject] | None] = TrainingSubject

    imports: ClassVar[tuple[str, ...]] = ("torch._dynamo",)  # by torch's optimizers, 2 seconds

    model: AnyModelConfig
    batch: Annotated[int, Field(gt=0)] | TokenBudget
    length: int = Field(gt=0)
    accumulate: int = Field(default=1, gt=0)
    optimizer: OptimizerConfig
    lr_scaling: LearningRateScaling = LearningRateScaling()
    precision: PrecisionConfig = Float32()
    loss: LossConfig = CHUNKED
    clip: float | None = Field(default=1.0, gt=0.0)
    compile: bool = False

    def check_installed(self) -> None:
        self.optimizer.check_installed()

    @property
    def batch_size(self) -> int:
        """Rows of an update, or its tokens a side where those are given."""
        return self.batch if isinstance(self.batch, int) else self.batch.tokens

    @property
    def micro_batch(self) -> int:
        """Of a micro-batch, likewise."""
        return self.batch_size // self.accumulate

    @property
    def rows(self) -> int:
        """Rows of an update; of the longest, where tokens are given."""
        return self.batch if isinstance(self.batch, int) else max(1, self.batch.tokens // self.length)

    @property
    def update_tokens(self) -> int:
        """Target tokens of an update; of translations, whose lengths differ, the most that it holds."""
        return self.batch * self.length if isinstance(self.batch, int) else self.batch.tokens

    @model_validator(mode="after")
    def _can_be_trained(self) -> Self:
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch {self.batch_size} does not divide into accumulate {self.accumulate} micro-batches"
            )
        if self.model.kind == "decoder" and not isinstance(self.batch, int):
            raise ValueError("batch.tokens is for translation; a decoder's batch is a number of rows")
        if self.length > self.model.max_positions:
            raise ValueError(
                f"length {self.length} is beyond the model's max_positions {self.model.max_positions}"
            )
        if self.compile and not isinstance(self.batch, int):
            raise ValueError(
                "compile takes batches of one shape; of {tokens: n} each width would be compiled anew inside updates that are timed"
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
        return self.optimizer.scaled(self.lr_scaling.factor(self.batch_size))

    def training_flops(self, batch: Batch) -> float:
        """Of the products forward and backward, which cost twice as many; what checkpointing computes again
        is not counted.
        """
        keys = batch[-1].shape[1]
        if isinstance(self.model, ModelConfig):
            return 3.0 * batch[-1].size * flops_per_token(self.model, keys=keys)
        source = batch[0].shape[1]
        encoder = batch[0].size * encoder_flops_per_token(self.model, source=source)
        return 3.0 * (
            encoder + batch[-1].size * decoder_flops_per_token(self.model, keys=keys, source=source)
        )

    def row_flops(self) -> float:
        """Forward, of a row of `length` tokens, a side."""
        length = self.length
        if isinstance(self.model, ModelConfig):
            return length * flops_per_token(self.model, keys=length)
        return length * (
            encoder_flops_per_token(self.model, source=length)
            + decoder_flops_per_token(self.model, keys=length, source=length)
        )

    def updater(self, model: nn.Module) -> Updater:
        """`model`, in the precision of its weights, with its optimizer."""
        from harness.training.objective import Objective
        from harness.training.update import Updater

        objective = Objective(model.to(self.precision.weights_dtype), self.loss)
        return Updater(
            objective, self.scaled_optimizer.build(model), precision=self.precision, clip=self.clip
        )

    def word_vectors(self) -> Tensor | None:
        """What a pretrained embedding starts from (tokens, width); None for every other."""
        return None

    def training_subject(
        self, context: Context, micro_batches: Sequence[Batch], schedule: Schedule
    ) -> TrainingSubject:
        """What invariants are checked on: the model in its first state, and the first micro-batches of the
        data.

        Of translations, a batch is sources, inputs of the decoder and targets.
        """
        import torch

        from harness.models.init import build_model

        vectors = self.word_vectors()

        def build(config: Any) -> Any:
            model = build_model(config, context.seed, device=context.device, vectors=vectors)
            return model.to(self.precision.weights_dtype)

        def tensor(place: int) -> Tensor:
            return torch.from_numpy(micro_batches[0][place]).to(context.device, torch.int64)

        return TrainingSubject(
            model=build(self.model).eval(),
            tokens=tensor(-2),
            sources=None if isinstance(self.model, ModelConfig) else tensor(0),
            config=self.model,
            build=build,
            updater=self.updater,
            micro_batches=micro_batches,
            accumulate=self.accumulate,
            schedule=schedule,
            compiles=self.compile,
        )

    def compiled(self, updater: Updater, batch: Batch) -> float:
        """Seconds that the first forward and backward pass took, compiling; gradients and random numbers are
        left as they were.
        """
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
