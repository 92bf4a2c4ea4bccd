"""Task `step`: times training updates on fixed batches of random tokens, and measures the memory of an update
by category.

A unit is one complete update with all its micro-batches, clipping and the optimizer. A trial's value is the
median of its units.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from harness.config import MEASUREMENT
from harness.data.reference import CorpusRef
from harness.invariants.subjects import TrainingSubject
from harness.metrics import ENERGY_METRICS
from harness.models.config import EncoderDecoderConfig, PretrainedEmbedding
from harness.models.cost import parameter_count
from harness.tasks.base import Context, Result, SampleRecorder, TimedWork
from harness.tasks.training_task import UPDATES_TO_CHECK, TrainingTask
from harness.tasks.work import Work
from harness.telemetry.clock import Clock, WarmUp, time_units
from harness.telemetry.memory import device_peak_bytes, peak_rss_bytes, reset_device_peak, reset_peak_rss
from harness.training.parallel.communication import Communication, bubble_share
from harness.training.precision import Float16Scaled
from harness.training.schedule import ConstantSchedule

if TYPE_CHECKING:
    from harness.training.objective import MicroBatch
    from harness.training.parallel.sizes import RankBytes
    from harness.training.update import Update, Updater


class Step(TrainingTask):
    """Times updates at the peak learning rate. No text is read, so the study states `model.vocab_size`.

    Memory by category can be measured only if torch runs an update step by step: with `compile` it is not
    recorded.
    """

    name: ClassVar[str] = "step"
    metrics: ClassVar[tuple[str, ...]] = (
        "update_seconds",
        "training_tokens_per_second",
        "mfu",
        "compile_seconds",
        "peak_step_bytes",
        "parameter_bytes",
        "gradient_bytes",
        "optimizer_bytes",
        "activation_bytes",
        "other_bytes",
        "static_bytes",
        "dynamic_bytes",
        "parameter_bytes_per_rank",
        "gradient_bytes_per_rank",
        "optimizer_bytes_per_rank",
        "static_bytes_per_rank",
        "communicated_bytes",
        "communicated_bytes_formula",
        "bubble_share",
        "bubble_share_formula",
        "peak_device_bytes",
        "peak_rss_bytes",
        *ENERGY_METRICS,
    )

    units: Annotated[int, MEASUREMENT] = Field(default=5, gt=0)
    """The number of updates that are timed in a trial."""

    warm_up: Annotated[WarmUp, MEASUREMENT] = WarmUp(at_most=6, window=3)
    """The rule for the updates that run before anything is timed."""

    @model_validator(mode="after")
    def _micro_batches_are_alike(self) -> Self:
        if self.rows % self.accumulate:
            raise ValueError(
                f"batch.tokens holds {self.rows} rows of length {self.length}, which cannot be divided into "
                f"{self.accumulate} equal micro-batches (accumulate)"
            )
        return self

    @model_validator(mode="after")
    def _tokens_are_no_words(self) -> Self:
        pretrained = isinstance(getattr(self.model, "embedding", None), PretrainedEmbedding)
        if pretrained:
            raise ValueError(
                "task step uses random tokens, which have no word vectors; use model.embedding.kind learned"
            )
        return self

    def corpora(self) -> tuple[CorpusRef, ...]:
        return ()

    def expected_work(self) -> Work:
        return {
            "updates": self.units,
            "training_tokens": self.units * self.rows * self.length,
            "parameters": parameter_count(self.model),
            "length": self.length,
        }

    def flops(self) -> float:
        return 3 * self.rows * self.row_flops() * (self.units + self.warm_up.at_most + 2)

    def run(self, context: Context, record: SampleRecorder) -> Result:
        import torch

        from harness.machine.matmul import matmul_peaks
        from harness.models.init import build_model
        from harness.training.parallel.build import build_layout
        from harness.training.parallel.sizes import RankBytes
        from harness.training.parallel.timing import RanksClock

        layout = build_layout(self.parallel)
        model = build_model(self.model, context.seed, device=context.device)
        updater = self.updater(model, layout)
        micro_batches = self._micro_batches(context.seed)
        peaks = matmul_peaks(self.precision.products_dtype, context.device)
        torch.manual_seed(layout.seed(context.seed))
        model.train()
        if self.compile:
            record("compile_seconds", self.compiled(updater, micro_batches[0]))
        elif self.ranks == 1:
            held = RankBytes(updater)
            with held.watched():
                record_memory(updater, micro_batches, record)
            record_ranks(held, 0.0, record)
            record("communicated_bytes_formula", self.communicated_bytes)
        reset_peak_rss()
        reset_device_peak(context.device)
        made: list[Update] = []
        timing = time_units(
            lambda: made.append(updater(micro_batches)),
            count=self.units,
            clock=RanksClock(context.device) if self.ranks > 1 else Clock(context.device),
            warm_up=self.warm_up,
        )
        record("peak_rss_bytes", peak_rss_bytes() or math.nan)
        on_device = device_peak_bytes(context.device)
        if on_device is not None:
            record("peak_device_bytes", on_device)
        if self.ranks > 1 and not self.compile:
            self._record_communication(updater, micro_batches, record)
        tokens = sum(batch[-1].size for batch in micro_batches)
        flops = sum(map(self.training_flops, micro_batches))
        for unit, seconds in enumerate(timing.seconds):
            record("update_seconds", seconds, unit)
            record("training_tokens_per_second", tokens / seconds, unit)
            record("mfu", flops / seconds / (self.ranks * max(peaks.values())), unit)
        return Result(
            spent={
                "updates": sum(update.applied for update in made[-self.units :]),
                "training_tokens": self.units * tokens,
                "parameters": parameter_count(self.model),
                "flops": self.units * flops,
                "length": self.length,
            },
            notes={
                "warm_up_units": len(timing.warm_up_seconds),
                "steady": timing.steady,
                "skipped_updates": updater.attempted - updater.applied,
                "master_weights": self.precision.master_weights,
                "peak_flops": peaks,
            },
            timed=TimedWork(span=timing.span, tokens=self.units * tokens),
        )

    def _record_communication(
        self, updater: Updater, micro_batches: list[MicroBatch], record: SampleRecorder
    ) -> None:
        """In more updates, the bytes that all ranks send, and how long those of a pipeline wait."""
        record_communication(updater, micro_batches, record)
        record("communicated_bytes_formula", self.communicated_bytes)
        for unit in range(self.units if self.parallel.pipeline > 1 else 0):
            record("bubble_share", updater.layout.idle_share(lambda: updater(micro_batches)), unit)
            record("bubble_share_formula", bubble_share(self.parallel), unit)

    @property
    def communicated_bytes(self) -> int:
        """The closed form of the bytes that all ranks send in an update."""
        return Communication(
            model=self.model,
            micro_batches=self.accumulate,
            rows=self.rows // self.accumulate,
            length=self.length,
            weight_bytes=self.precision.bytes_per_weight,
            forward_bytes=self.precision.bytes_per_product,
            scaled=isinstance(self.precision, Float16Scaled),
        ).bytes(self.parallel)

    def closed_form(self, metric: str) -> float | None:
        if metric == "bubble_share_formula" and self.parallel.pipeline > 1:
            return bubble_share(self.parallel)
        return self.communicated_bytes if metric == "communicated_bytes_formula" else None

    def subject(self, context: Context) -> TrainingSubject:
        """The model with the fixed micro-batches, which are the same in every update."""
        fixed = self._micro_batches(context.seed)
        return self.training_subject(context, fixed * UPDATES_TO_CHECK, ConstantSchedule())

    def _micro_batches(self, seed: int) -> list[MicroBatch]:
        """Random tokens without padding: the same for all arms with a seed, however they are divided."""

        random = np.random.default_rng(seed)
        tokens = random.integers(1, self.model.vocab_size, (self.rows, self.length + 1))
        batch: MicroBatch = (tokens[:, :-1], tokens[:, 1:])
        if isinstance(self.model, EncoderDecoderConfig):
            size = self.model.source_vocab_size or self.model.vocab_size
            batch = (random.integers(1, size, (self.rows, self.length)), *batch)
        parts = zip(*(np.split(array, self.accumulate) for array in batch), strict=True)
        return [tuple(part) for part in parts]


def record_memory(updater: Updater, micro_batches: list[MicroBatch], record: SampleRecorder) -> None:
    """The peak of an update, and that of each category.

    They are measured in the second of two updates, because the first one creates the optimizer's state.
    """
    from harness.telemetry.memory_categories import MemoryByCategory

    with MemoryByCategory(updater.objective.model, updater.optimizer) as memory:
        updater(micro_batches)
        static = memory.live_bytes
        memory.start_peak()
        updater(micro_batches)
    record("peak_step_bytes", memory.peak_bytes)
    for category, size in memory.peaks().items():
        record(f"{category}_bytes", size)
    record("static_bytes", static)
    record("dynamic_bytes", memory.peak_bytes - static)


def record_communication(updater: Updater, micro_batches: list[MicroBatch], record: SampleRecorder) -> None:
    """The bytes that this rank holds, and those that all ranks send, in one more update."""
    from harness.training.parallel.sizes import RankBytes
    from harness.training.parallel.traffic import Traffic, over_ranks

    held = RankBytes(updater)
    with held.watched(), Traffic() as traffic:
        updater(micro_batches)
    record_ranks(held, over_ranks(traffic.sent, updater.objective.device), record)


def record_ranks(held: RankBytes, sent: float, record: SampleRecorder) -> None:
    """The most bytes that a rank holds, and those that all ranks sent."""
    from harness.training.parallel.traffic import over_ranks

    static = held.parameters + held.optimizer
    sizes = {"parameter": held.parameters, "gradient": held.gradients, "optimizer": held.optimizer}
    for name, size in {**sizes, "static": static}.items():
        record(f"{name}_bytes_per_rank", over_ranks(size, held.device, largest=True))
    record("communicated_bytes", sent)
