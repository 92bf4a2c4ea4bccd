"""Which trainings can be divided in which way. Importing it needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.models.config import EncoderDecoderConfig, ModelConfig, MultiHeadAttention
from harness.training.optim import OptimizerSettings
from harness.training.parallel.config import Parallel


@dataclass(frozen=True, kw_only=True)
class DividedTraining:
    """What decides whether a training can be divided. A micro-batch has `rows` rows."""

    model: Any
    optimizer: OptimizerSettings
    compiles: bool
    rows: int


def check_divisible(parallel: Parallel, training: DividedTraining) -> None:
    """Raises ValueError with the first reason why ranks cannot share this training, if there is one."""
    for problem in _problems(parallel, training):
        raise ValueError(f"parallel {parallel.layout} {problem}")


def _problems(parallel: Parallel, training: DividedTraining) -> Iterator[str]:
    if parallel.layout == "data":
        return
    model, optimizer = training.model, training.optimizer
    if not optimizer.by_value:
        yield (
            f"needs an optimizer that steps every value by itself, such as adamw; {optimizer.kind} needs all "
            "values of a parameter"
        )
    if training.compiles:
        yield "cannot be combined with compile"
    if parallel.layout == "shard":
        if not isinstance(model, ModelConfig | EncoderDecoderConfig):
            yield "needs a decoder or an encoder-decoder of this project"
    elif not isinstance(model, ModelConfig):
        yield "needs a decoder of this project"
    if getattr(model, "auxiliary_losses", {}):
        yield "needs a model whose layers add nothing to the loss"
    if parallel.layout == "tensor" and isinstance(model, ModelConfig):
        yield from _not_divisible_by(parallel.tensor, model)
    if parallel.layout == "pipeline" and isinstance(model, ModelConfig):
        yield from _no_pipeline(parallel, model, training.rows)


def _not_divisible_by(ranks: int, model: ModelConfig) -> Iterator[str]:
    """Why heads and feed-forward layers cannot be divided into as many equal parts."""
    attention = model.attention
    if not isinstance(attention, MultiHeadAttention) or attention.projection != "separate":
        yield "needs attention with separate projections"
        return
    sizes = {"n_heads": model.n_heads, "n_kv_heads": attention.kv_heads(model), "d_ff": model.d_ff}
    for name, size in sizes.items():
        if size % ranks:
            yield f"needs a {name} that {ranks} ranks can divide equally, not {size}"
    if attention.qk_norm is not None:
        yield "needs attention without qk_norm, whose gain belongs to the heads of all ranks"
    if model.checkpointing.kind != "none":
        yield "needs checkpointing none, because computing a layer again would communicate again"
    if model.position.kind in ("alibi", "relative"):
        yield f"needs positions without a bias for every head; position {model.position.kind} has one"


def _no_pipeline(parallel: Parallel, model: ModelConfig, rows: int) -> Iterator[str]:
    if model.n_layers < parallel.pipeline:
        yield f"needs at least {parallel.pipeline} layers, not {model.n_layers}"
    if rows % parallel.micro_batches:
        yield f"cannot divide a micro-batch of {rows} rows into {parallel.micro_batches} equal micro_batches"
    if model.position.kind == "relative":
        yield "needs positions without a table that all blocks share; position relative has one"
