"""The training loop: updates and their recording, evaluation that is not timed, and a state to resume
from.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from harness.training.evaluation import bits_per_byte, evaluate, evaluate_in, perplexity
from harness.training.objective import MicroBatch
from harness.training.optim import evaluated, trained_in
from harness.training.recorder import PendingUpdate, ReportSample, Stopwatch, TrainingRecorder
from harness.training.schedule import Schedule
from harness.training.steadiness import Divergence
from harness.training.update import Updater

if TYPE_CHECKING:
    from torch import nn


class Batches(Protocol):
    """An endless stream of micro-batches with a position that can be saved and restored."""

    def __next__(self) -> MicroBatch: ...
    def state(self) -> Mapping[str, Any]: ...
    def restore(self, state: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """How long to train, and how. An update takes `accumulate` micro-batches.

    The state is saved every `save_every` updates, or never. A copy of the model is kept after each number of
    updates in `keep`. With `as_trained` every evaluation is repeated in the precision of the training.
    """

    updates: int
    schedule: Schedule
    evaluate_every: int
    accumulate: int = 1
    save_every: int | None = None
    keep: tuple[int, ...] = ()
    divergence: Divergence | None = None
    as_trained: bool = False


@dataclass(frozen=True, kw_only=True)
class Costs:
    """The loss of a uniform guess in nats, the FLOPs of training on a batch, the peak FLOP/s of the device if
    it is known, and the bytes of the text that is evaluated, if they are known.
    """

    chance: float
    flops_of: Callable[[MicroBatch], float]
    peak_flops: float | None = None
    evaluated_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The work of a training: attempted and applied updates, target tokens, FLOPs of the matrix products, and
    seconds without evaluations.
    """

    updates: int
    applied_updates: int
    training_tokens: int
    evaluation_tokens: int
    flops: float
    seconds: float
    diverged: bool


class Training:
    """A training from its first update, or from a saved state, to its end.

    `earlier_models` has the copies that were kept, by their number of updates.
    """

    def __init__(
        self,
        updater: Updater,
        data: Batches,
        recipe: LoopSettings,
        *,
        evaluation: Callable[[], Iterable[MicroBatch]],
        report: ReportSample,
        costs: Costs,
    ) -> None:
        self.updater, self.data, self.recipe = updater, data, recipe
        self._evaluation, self._costs = evaluation, costs
        self._samples: list[tuple[str, float, int]] = []
        self._report_to = report
        self._recorder = TrainingRecorder(
            self._report,
            device=updater.objective.device,
            divergence=recipe.divergence,
            chance=costs.chance,
            peak_flops=costs.peak_flops,
        )
        self._training_tokens = self._evaluation_tokens = 0
        self._flops = 0.0
        self.earlier_models: dict[int, nn.Module] = {}

    def run(self, save: Callable[[dict[str, Any]], None] | None = None) -> Trained:
        """Train to the end or until the loss diverges. `save` gets the state every `save_every` updates."""
        recipe, recorder, updater = self.recipe, self._recorder, self.updater
        updater.objective.model.train()
        trained_in(updater.optimizer)
        watch = Stopwatch(updater.objective.device)
        watch.start()
        while updater.attempted < recipe.updates:
            update = updater.attempted
            evaluates = (update + 1) % recipe.evaluate_every == 0 or update + 1 == recipe.updates
            saves = save is not None and recipe.save_every and (update + 1) % recipe.save_every == 0
            pauses = evaluates or saves or update + 1 in recipe.keep
            self._update(watch, count_zeros=evaluates)
            if pauses:
                recorder.flush()
            if evaluates and recorder.diverged_at is None:
                self._evaluate(update)
            if recorder.diverged_at is not None:
                return self._trained(recorder.diverged_at + 1)
            if update + 1 in recipe.keep:
                self._keep(update + 1)
            if save is not None and saves:
                save(self.state())
            if pauses:
                watch.start()
        if recipe.updates:
            self._report("skipped_updates", updater.attempted - updater.applied, recipe.updates - 1)
            recorder.report_steadiness(recipe.updates - 1)
        return self._trained(recipe.updates)

    def _update(self, watch: Stopwatch, *, count_zeros: bool) -> None:
        recipe, updater = self.recipe, self.updater
        number = updater.attempted
        waiting = time.perf_counter_ns()
        micro_batches = [next(self.data) for _ in range(recipe.accumulate)]
        waited = (time.perf_counter_ns() - waiting) / 1e9
        rate = updater.set_rate(recipe.schedule.factor(updater.applied, recipe.updates))
        result = updater(micro_batches, count_zeros=count_zeros, measure_clipped=True)
        flops = sum(map(self._costs.flops_of, micro_batches))
        self._training_tokens += result.tokens
        self._flops += flops
        if result.zeros is not None:
            self._report("zero_gradients", result.zeros, number)
        self._recorder.add(
            PendingUpdate(
                number=number,
                result=result,
                learning_rate=rate,
                flops=flops,
                data_seconds=waited,
                seconds=watch.lap(),
            )
        )

    def _evaluate(self, update: int) -> None:
        """A loss that is not finite is a divergence. Only this shows a divergence in the last update."""
        updater, precision = self.updater, self.updater.precision
        with evaluated(updater.optimizer):
            objective = updater.objective.on(updater.layout.gathered(updater.objective.model))
            evaluation = evaluate(objective, self._evaluation())
            if self.recipe.as_trained:
                as_trained = evaluate_in(precision, objective, self._evaluation())
                self._report("validation_loss_as_trained", as_trained.loss, update)
        self._evaluation_tokens += evaluation.tokens
        if not math.isfinite(evaluation.loss):
            self._recorder.diverged_at = update
            return
        self._report("validation_loss", evaluation.loss, update)
        self._report("validation_perplexity", perplexity(evaluation.loss), update)
        if self._costs.evaluated_bytes:
            bits = bits_per_byte(evaluation, self._costs.evaluated_bytes)
            self._report("bits_per_byte", bits, update)
        self._report("log_z", evaluation.log_z, update)

    def _keep(self, updates: int) -> None:
        with evaluated(self.updater.optimizer):
            gathered = self.updater.layout.gathered(self.updater.objective.model)
            self.earlier_models[updates] = copy.deepcopy(gathered).cpu()

    def _report(self, metric: str, value: float, step: int, /) -> None:
        if self.recipe.save_every:
            self._samples.append((metric, value, step))
        self._report_to(metric, value, step)

    def _trained(self, updates: int) -> Trained:
        return Trained(
            updates=updates,
            applied_updates=self.updater.applied,
            training_tokens=self._training_tokens,
            evaluation_tokens=self._evaluation_tokens,
            flops=self._flops,
            seconds=self._recorder.seconds,
            diverged=self._recorder.diverged_at is not None,
        )

    def state(self) -> dict[str, Any]:
        """The position of the training and its samples, without the states of model, optimizer, scaler and
        random generators.
        """
        return {
            "attempted": self.updater.attempted,
            "applied": self.updater.applied,
            "training_tokens": self._training_tokens,
            "evaluation_tokens": self._evaluation_tokens,
            "flops": self._flops,
            "seconds": self._recorder.seconds,
            "above": self._recorder.above,
            "losses": list(self._recorder.losses),
            "norms": list(self._recorder.norms),
            "data": dict(self.data.state()),
            "samples": list(self._samples),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue at the position of `state`, and report its samples again.

        Raises ValueError if the data is another stream.
        """
        self.data.restore(state["data"])
        self.updater.attempted, self.updater.applied = state["attempted"], state["applied"]
        self._training_tokens, self._evaluation_tokens = state["training_tokens"], state["evaluation_tokens"]
        self._flops, self._recorder.seconds = state["flops"], state["seconds"]
        self._recorder.above = state["above"]
        self._recorder.losses, self._recorder.norms = list(state["losses"]), list(state["norms"])
        for metric, value, step in state["samples"]:
            self._report(metric, value, step)
