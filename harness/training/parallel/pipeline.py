"""Pipeline parallelism (Huang et al. 2019, §2.2), by torch.distributed.pipelining.

Every rank has some of the blocks. The rows of a micro-batch are divided again, and the parts follow each
other through the ranks, first all forward passes and then all backward passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.distributed.pipelining import PipelineStage, ScheduleGPipe

from harness.models.config import IGNORED_TARGET
from harness.models.position import PositionEncoding
from harness.models.transformer import Transformer
from harness.telemetry.clock import Clock
from harness.training.objective import MicroBatch
from harness.training.parallel.data import SEEDS_APART, sum_over_ranks
from harness.training.parallel.layout import Passes
from harness.training.parallel.split import SplitRanks
from harness.training.parallel.traffic import over_ranks


class PipelineRanks(SplitRanks):
    """The first rank also has the embedding, the last one the final norm and the output projection. If the
    output is tied to the embedding, both have it, and the gradients of both are summed.
    """

    def __init__(self, *, rank: int, ranks: int, parts: int) -> None:
        super().__init__(rank=rank, ranks=ranks)
        self.parts = parts
        self.first, self.last = rank == 0, rank == ranks - 1
        self._owners: dict[str, int] = {}
        self._tied: nn.Parameter | None = None
        self._schedule: ScheduleGPipe | None = None
        self._loss: _Loss | None = None
        self._watch: _Watch | None = None

    def split(self, model: nn.Module) -> None:
        typed = cast("Transformer", model)
        mine = blocks_of_rank(typed.n_layers, self.rank, self.ranks)
        for layer in set(range(typed.n_layers)) - set(mine):
            typed.blocks[layer] = nn.Identity()
        tied = typed.unembedding is None
        if tied and (self.first or self.last):
            self._tied = cast("nn.Parameter", typed.embedding.weight)
        if not self.first:
            _drop_entrance(typed, keep_embedding=tied and self.last)
        if not self.last:
            _drop_exit(typed)
        names: list[Any] = [None] * self.ranks
        distributed.all_gather_object(names, [name for name, _ in typed.named_parameters()])
        for rank in reversed(range(self.ranks)):
            self._owners.update(dict.fromkeys(names[rank], rank))

    def passes(
        self, updater: Passes, micro_batches: Sequence[MicroBatch], tokens: Sequence[int], total: int
    ) -> Mapping[str, Tensor]:
        del tokens
        device = updater.objective.device
        loss, schedule = self._built(updater)
        loss.begin(total)
        if updater.scaler is not None:
            updater.scaler.scale(torch.zeros((), device=device))  # also where no loss is scaled, it is set up
        for batch in micro_batches:
            inputs, targets = updater.objective.tensors(batch)
            loss.means.clear()
            if self._watch is not None:
                self._watch.begin()
            schedule.step(
                *([inputs] if self.first else []),
                target=targets if self.last else None,
                return_outputs=False,
            )
            if self._watch is not None:
                self._watch.end()
            loss.add_last(self.parts)
        if self._tied is not None:
            assert self._tied.grad is not None
            self._tied.grad += self.from_other_end(self._tied.grad)
        return sum_over_ranks(loss.shares())

    def from_other_end(self, gradient: Tensor) -> Tensor:
        """The gradient that the last rank has for the first one, and the other way round."""
        other, peer = torch.empty_like(gradient), 0 if self.last else self.ranks - 1
        operations = [
            distributed.P2POp(distributed.isend, gradient, peer),
            distributed.P2POp(distributed.irecv, other, peer),
        ]
        for work in distributed.batch_isend_irecv(operations):
            work.wait()
        return other

    def seed(self, seed: int) -> int:
        return seed + SEEDS_APART * self.rank

    def counts(self, parameter: nn.Parameter) -> bool:
        return parameter is not self._tied or self.first

    def fetch(self, name: str, mine: Tensor | None, complete: Tensor) -> None:
        owner = self._owners[name]
        if owner == self.rank:
            assert mine is not None
            complete.copy_(mine)
        distributed.broadcast(complete, src=owner)

    def idle_share(self, update: Callable[[], object]) -> float:
        """The share of an update's passes in which a rank waits for others, averaged over all ranks. The
        passes last as long as those of the slowest rank.
        """
        assert self._schedule is not None
        self._watch = watch = _Watch(Clock(str(next(iter(self._parts)).device)), self._schedule)
        try:
            update()
        finally:
            watch.stop()
            self._watch = None
        return watch.idle_share(self.ranks)

    def _built(self, updater: Passes) -> tuple[_Loss, ScheduleGPipe]:
        if self._schedule is None or self._loss is None:
            model = cast("Transformer", updater.objective.model)
            stage = PipelineStage(
                _Stage(model, updater, first=self.first, last=self.last),
                self.rank,
                self.ranks,
                updater.objective.device,
            )
            self._loss = _Loss(updater)
            self._schedule = ScheduleGPipe(stage, self.parts, loss_fn=self._loss, scale_grads=False)
        return self._loss, self._schedule


def blocks_of_rank(layers: int, rank: int, ranks: int) -> list[int]:
    """The neighbouring layers that a rank has; the first ranks have one more if they cannot be equal."""
    return [int(layer) for layer in np.array_split(np.arange(layers), ranks)[rank]]


class _Stage(nn.Module):
    """A rank's part of the model: from tokens or states to states, or on the last rank to normed states."""

    def __init__(self, model: Transformer, updater: Passes, *, first: bool, last: bool) -> None:
        super().__init__()
        self.model, self._first, self._last = model, first, last
        self._autocast = updater.precision.autocast
        self._device = str(updater.objective.device)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, T) on the first rank, else states (B, T, C), to states (B, T, C)."""
        model = self.model
        with self._autocast(self._device):
            context, positions = model.plain_context(x)
            if self._first:
                x = model.enter(model.embedding(x), positions, scale=model.embedding.scale)
            for block in model.blocks:
                if not isinstance(block, nn.Identity):
                    x = block(x, context)
            if self._last:
                x = model.final_norm(x)
            return x


class _Loss:
    """The last rank's share of a mean over all counted targets of an update."""

    def __init__(self, updater: Passes) -> None:
        self._updater = updater
        self._total = 1
        self.means: list[Tensor] = []
        self._shares: list[Tensor] = []

    def begin(self, total: int) -> None:
        self._total = total
        self._shares.clear()

    def __call__(self, states: Tensor, targets: Tensor) -> Tensor:
        updater, objective = self._updater, self._updater.objective
        with updater.precision.autocast(str(objective.device)):
            loss = objective.loss_of_states(states, targets)
            minimised = objective.minimised(loss)
        share = (targets != IGNORED_TARGET).sum().to(loss.mean.dtype) / self._total
        self.means.append(torch.stack([loss.mean.detach(), loss.log_z]) * share)
        minimised = minimised * share
        return minimised if updater.scaler is None else updater.scaler.scale(minimised)

    def add_last(self, parts: int) -> None:
        """Keep the means of the newest passes. Before the first ones, torch calls the loss once to learn the
        shapes.
        """
        self._shares += self.means[-parts:]

    def shares(self) -> dict[str, Tensor]:
        """The means; 0 on a rank that computes no loss."""
        if self._shares:
            loss, log_z = torch.stack(self._shares).sum(dim=0)
        else:
            weight = self._updater.parameters[0]
            wide = torch.promote_types(weight.dtype, torch.float32)
            loss, log_z = torch.zeros(2, dtype=wide, device=weight.device)
        return {"loss": loss, "log Z": log_z}


class _Watch:
    """How long a rank computes, and how long its passes take. The device is waited for after every pass."""

    def __init__(self, clock: Clock, schedule: ScheduleGPipe) -> None:
        self._clock, self._schedule = clock, schedule
        self._busy = self._passes = 0.0
        self._since = 0
        self._stage = schedule._stage
        self._originals = {name: getattr(self._stage, name) for name in _TIMED}
        self._loss = schedule._loss_fn
        for name, original in self._originals.items():
            setattr(self._stage, name, self._timed(original))
        schedule._loss_fn = self._timed(self._loss)

    def _timed(self, original: Any) -> Any:
        def timed(*arguments: Any, **settings: Any) -> Any:
            since = self._clock.now_ns()
            result = original(*arguments, **settings)
            self._busy += self._clock.seconds(since)
            return result

        return timed

    def begin(self) -> None:
        distributed.barrier()
        self._since = self._clock.now_ns()

    def end(self) -> None:
        self._passes += self._clock.seconds(self._since)

    def stop(self) -> None:
        for name, original in self._originals.items():
            setattr(self._stage, name, original)
        self._schedule._loss_fn = self._loss

    def idle_share(self, ranks: int) -> float:
        device = torch.device(self._clock.device)
        busy = over_ranks(self._busy, device)
        return 1.0 - busy / (ranks * over_ranks(self._passes, device, largest=True))


_TIMED = ("forward_one_chunk", "backward_one_chunk")


def _drop_entrance(model: Transformer, *, keep_embedding: bool) -> None:
    """What only the first rank uses."""
    unused: Any = None
    if not keep_embedding:
        model.embedding = unused
    model.embedding_norm = None
    if any(True for _ in model.position.parameters()):
        model.position = PositionEncoding()


def _drop_exit(model: Transformer) -> None:
    """What only the last rank uses."""
    model.final_norm = nn.Identity()
    model.unembedding = model.output_bias = None
