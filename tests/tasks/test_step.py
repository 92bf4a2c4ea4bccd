"""Timed updates: complete work, the same for every arm, and exact bytes."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from harness.metrics import ENERGY_METRICS
from harness.models.config import ModelConfig
from harness.models.cost import flops_per_token, parameter_count
from harness.run.ranks import in_ranks
from harness.tasks.base import Context, Result
from harness.tasks.step import Step

SETTINGS: dict[str, Any] = {
    "model": {"vocab_size": 50, "d_model": 16, "n_layers": 4, "n_heads": 2, "d_ff": 32, "max_positions": 64},
    "batch": 8,
    "length": 32,
    "optimizer": {"kind": "adamw", "lr": 1e-3},
    "units": 3,
    "warm_up": {"at_most": 2, "window": 2},
}
MEMORY = ("parameter", "gradient", "optimizer", "activation", "other")
Values = dict[str, list[float]]


def run(model: dict[str, Any] | None = None, **changes: Any) -> tuple[Result, Values]:
    task = Step.read({**SETTINGS, **changes, "model": {**SETTINGS["model"], **(model or {})}})
    values: Values = {}
    result = task.run(
        Context(seed=0, device="cpu", checkpoints={}),
        lambda metric, value, _step=0, /: values.setdefault(metric, []).append(value),
    )
    return result, values


def test_every_unit_is_a_whole_update() -> None:
    result, values = run()
    of_pipelines = {"bubble_share", "bubble_share_formula"}
    unmeasured = {"compile_seconds", "peak_device_bytes", *of_pipelines, *ENERGY_METRICS}
    assert set(values) == set(Step.metrics) - unmeasured
    assert len(values["update_seconds"]) == 3
    speed = [8 * 32 / seconds for seconds in values["update_seconds"]]
    assert values["training_tokens_per_second"] == pytest.approx(speed)
    assert result.timed is not None
    assert result.timed.tokens == 3 * 8 * 32
    assert sum(values["update_seconds"]) <= result.timed.span.end - result.timed.span.begin
    model = Step.read(SETTINGS).model
    assert isinstance(model, ModelConfig)
    assert result.spent == {
        "updates": 3,
        "training_tokens": 3 * 8 * 32,
        "parameters": parameter_count(model),
        "flops": 3 * 3 * 8 * 32 * flops_per_token(model, keys=32),
        "length": 32,
    }


def test_an_update_that_the_scaler_skipped_is_none_that_was_spent() -> None:
    precision = {"kind": "fp16-scaled", "initial_scale": 2.0**80}
    result, _ = run(precision=precision, loss={"logits": {"kind": "whole"}})
    assert result.spent["updates"] == 0


def test_rows_that_do_not_divide_into_micro_batches_are_refused() -> None:
    sizes = {
        "d_model": 16,
        "n_encoder_layers": 1,
        "n_decoder_layers": 1,
        "n_heads": 2,
        "d_ff": 32,
        "max_positions": 64,
    }
    translator = {"kind": "encoder-decoder", "vocab_size": 50, **sizes}
    settings = {**SETTINGS, "model": translator, "length": 64, "batch": {"tokens": 64}}
    assert Step.read(settings).rows == 1
    with pytest.raises(
        ValidationError, match="holds 1 rows of length 64, which cannot be divided into 2 equal"
    ):
        Step.read({**settings, "accumulate": 2})
    with pytest.raises(ValidationError, match="compile needs batches of one shape"):
        Step.read({**settings, "compile": True})


def test_bytes_are_exact_and_each_category_has_its_peak() -> None:
    (_, first), (_, again) = run(), run()
    parameters = 4 * parameter_count(Step.read(SETTINGS).model)
    for name in (*MEMORY, "peak_step", "static", "dynamic"):
        assert first[f"{name}_bytes"] == again[f"{name}_bytes"]
    peaks = [first[f"{name}_bytes"][0] for name in MEMORY]
    assert max(peaks) < first["peak_step_bytes"][0] < sum(peaks)
    assert first["parameter_bytes"] == [parameters]
    # AdamW keeps two values a parameter, and the number of steps a tensor.
    state = first["static_bytes"][0] - parameters
    assert 2 * parameters < state < 2 * parameters + 1000
    assert first["optimizer_bytes"] == [state]
    assert first["dynamic_bytes"][0] == first["peak_step_bytes"][0] - first["static_bytes"][0]


def test_checkpointing_and_micro_batches_save_what_they_are_for() -> None:
    _, plain = run()
    _, checkpointed = run(model={"checkpointing": {"kind": "blocks"}})
    _, accumulated = run(accumulate=4)
    assert checkpointed["activation_bytes"][0] < 0.7 * plain["activation_bytes"][0]
    assert accumulated["activation_bytes"][0] < 0.5 * plain["activation_bytes"][0]
    for values in (checkpointed, accumulated):
        assert values["static_bytes"] == plain["static_bytes"]


def test_compiled_updates_tell_their_compilation_and_no_bytes_that_nobody_saw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    _, values = run(model={"n_layers": 1}, compile=True)
    assert len(values["compile_seconds"]) == 1
    assert "activation_bytes" not in values


def test_a_preset_needs_a_vocabulary() -> None:
    model = {"preset": "nano", "vocab_size": 2048}
    assert Step.read({**SETTINGS, "model": model}).plain()["model"]["d_model"] == 128
    with pytest.raises(ValidationError, match="vocab_size"):
        Step.read({**SETTINGS, "model": {"preset": "nano"}})


def test_word_vectors_have_no_place_in_a_step() -> None:
    embedding = {"kind": "pretrained", "width": 3}
    model = {**SETTINGS["model"], "embedding": embedding, "tie_embeddings": False}
    with pytest.raises(ValidationError, match="task step uses random tokens"):
        Step.read({**SETTINGS, "model": model})


@pytest.mark.parametrize(
    ("parallel", "share"),
    [
        ({"data": 2}, 1.0),
        ({"data": 2, "shard": "full"}, 0.5),
        ({"tensor": 2}, None),  # what is not divided is on both
        ({"pipeline": 2, "micro_batches": 4}, None),
    ],
    ids=str,
)
def test_ranks_record_what_they_hold_and_what_they_send(
    parallel: dict[str, Any], share: float | None, tmp_path: Path
) -> None:
    model = {"tie_embeddings": False}
    one, alone = run(model)
    several, values = in_ranks(2, lambda _: run(model, parallel=parallel), tmp_path)
    assert several.spent == one.spent
    assert len(values["update_seconds"]) == 3
    assert values["communicated_bytes"] == values["communicated_bytes_formula"]
    assert alone["communicated_bytes"] == alone["communicated_bytes_formula"] == [0]
    assert values["communicated_bytes"][0] > 0
    for name in ("parameter", "gradient", "static"):
        held = values[f"{name}_bytes_per_rank"][0] / alone[f"{name}_bytes_per_rank"][0]
        assert 0.5 < held < 0.8 if share is None else held == pytest.approx(share, rel=0.01)
    assert alone["static_bytes_per_rank"][0] == pytest.approx(alone["static_bytes"][0], abs=1000)
    if "pipeline" in parallel:
        assert len(values["bubble_share"]) == 3
        assert all(0.0 < value < 1.0 for value in values["bubble_share"])
        assert set(values["bubble_share_formula"]) == {1 / 5}
    else:
        assert "bubble_share" not in values
