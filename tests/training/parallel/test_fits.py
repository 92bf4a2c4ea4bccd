"""Which trainings can be divided, and what is said about the others."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from harness.tasks.step import Step

SETTINGS: dict[str, Any] = {
    "model": {"vocab_size": 50, "d_model": 16, "n_layers": 2, "n_heads": 2, "d_ff": 32, "max_positions": 64},
    "batch": 8,
    "length": 32,
    "optimizer": {"kind": "adamw", "lr": 1e-3},
}
SHARD, TENSOR, PIPELINE = {"data": 2, "shard": "full"}, {"tensor": 2}, {"pipeline": 2, "micro_batches": 4}


def step(parallel: dict[str, Any], model: dict[str, Any] | None = None, **changes: Any) -> Step:
    settings = {**SETTINGS, **changes, "model": {**SETTINGS["model"], **(model or {})}}
    return Step.read({**settings, "parallel": parallel})


@pytest.mark.parametrize("parallel", [{"data": 2}, SHARD, TENSOR, PIPELINE])
def test_a_plain_decoder_can_be_divided_in_every_way(parallel: dict[str, Any]) -> None:
    assert step(parallel).ranks == 2


@pytest.mark.parametrize("optimizer", ["muon", "lion-trust-ratio", "shampoo"])
def test_an_optimizer_that_needs_complete_parameters_can_divide_rows_only(optimizer: str) -> None:
    settings = {"kind": optimizer, "lr": 1e-3}
    assert step({"data": 2}, optimizer=settings).ranks == 2
    for parallel in (SHARD, TENSOR, PIPELINE):
        with pytest.raises(ValidationError, match=f"such as adamw; {optimizer} needs all values"):
            step(parallel, optimizer=settings)


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ({"n_heads": 1}, "n_heads that 2 ranks can divide equally, not 1"),
        ({"attention": {"n_kv_heads": 1}}, "n_kv_heads that 2 ranks can divide equally, not 1"),
        ({"d_ff": 33}, "d_ff that 2 ranks can divide equally, not 33"),
        ({"attention": {"projection": "fused"}}, "separate projections"),
        ({"attention": {"qk_norm": {}}}, "without qk_norm"),
        ({"position": {"kind": "alibi"}}, "position alibi has one"),
        ({"position": {"kind": "relative"}}, "position relative has one"),
        ({"checkpointing": {"kind": "blocks"}}, "would communicate again"),
    ],
)
def test_what_ranks_cannot_divide_equally_is_refused(model: dict[str, Any], problem: str) -> None:
    assert step(SHARD, model).ranks == 2
    with pytest.raises(ValidationError, match=problem):
        step(TENSOR, model)


@pytest.mark.parametrize(
    ("model", "parts", "problem"),
    [
        ({"n_layers": 1}, 4, "at least 2 layers, not 1"),
        ({}, 3, "divide a micro-batch of 8 rows into 3 equal micro_batches"),
        ({"position": {"kind": "relative"}}, 4, "position relative has one"),
    ],
)
def test_what_cannot_be_a_pipeline_is_refused(model: dict[str, Any], parts: int, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        step({"pipeline": 2, "micro_batches": parts}, model)


def test_a_translator_can_be_sharded_but_not_divided_by_heads() -> None:
    sizes = {"d_model": 16, "n_encoder_layers": 1, "n_decoder_layers": 1, "n_heads": 2, "d_ff": 32}
    translator = {"kind": "encoder-decoder", "vocab_size": 50, "max_positions": 64, **sizes}
    assert Step.read({**SETTINGS, "model": translator, "parallel": SHARD}).ranks == 2
    with pytest.raises(ValidationError, match="tensor needs a decoder of this project"):
        Step.read({**SETTINGS, "model": translator, "parallel": TENSOR})


def test_compiled_steps_cannot_be_divided() -> None:
    with pytest.raises(ValidationError, match="shard cannot be combined with compile"):
        step(SHARD, compile=True)


@pytest.mark.parametrize(
    ("parallel", "problem"),
    [
        ({"data": 2, "tensor": 2}, "data and tensor cannot be combined"),
        ({"shard": "full"}, "use at least data: 2"),
        ({"micro_batches": 2}, "set pipeline too"),
        ({"pipeline": 2, "data": 2}, "data and pipeline cannot be combined"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(parallel: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        step(parallel)
