"""Generation: the tokens are greedy decoding's, bytes follow the formula, and only times differ between
units.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from harness.config import digest
from harness.metrics import ENERGY_METRICS
from harness.models.cost import cache_bytes
from harness.models.decoding.greedy import greedy
from harness.models.init import build_model
from harness.tasks.base import Context, Result
from harness.tasks.generate import Generate
from harness.training.checkpoint import save_checkpoint
from tests.tasks.tiny_recipes import RECIPE

SETTINGS: dict[str, Any] = {
    "model": {"recipe": "tiny", "train": RECIPE},
    "prompts": {"corpus": "python-docs", "split": "test", "count": 2, "tokens": 8},
    "new_tokens": 12,
    "units": 2,
}
CACHES = ("none", "dynamic", "static", "doubling")
Values = dict[str, list[tuple[int, float]]]
TIMES = ("first_token_seconds", "prefill_tokens_per_second", "decode_tokens_per_second", "tokens_per_second")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights, large enough that its tokens are no constant."""
    folder = tmp_path_factory.mktemp("model") / "key"
    config = Generate.read(SETTINGS).model.train.model.model_copy(update={"init_std": 1.0})
    save_checkpoint(folder, build_model(config, 0), {})
    return folder


def task_and_context(checkpoint: Path, seed: int = 0, **changes: Any) -> tuple[Generate, Context]:
    task = Generate.read({**SETTINGS, **changes})
    key = digest(task.model.train.plain())
    return task, Context(seed=seed, device="cpu", checkpoints={key: str(checkpoint)})


def run(checkpoint: Path, seed: int = 0, **changes: Any) -> tuple[Result, Values]:
    task, context = task_and_context(checkpoint, seed, **changes)
    values: Values = defaultdict(list)
    result = task.run(context, lambda metric, value, step=0, /: values[metric].append((step, value)))
    return result, dict(values)


@pytest.mark.parametrize("cache", CACHES)
def test_the_outputs_are_those_of_greedy_decoding(checkpoint: Path, cache: Any) -> None:
    task, context = task_and_context(checkpoint)
    subject = task.subject(context)
    tokens = greedy(subject.model, subject.tokens, new_tokens=12, cache="none")
    assert len(set(tokens.flatten().tolist())) > 3
    expected = hashlib.sha256(tokens.numpy().tobytes()).hexdigest()[:16]
    assert run(checkpoint, cache=cache)[0].outputs == {"tokens": expected}


@pytest.mark.parametrize("cache", CACHES)
def test_the_bytes_of_the_cache_are_the_formula_s(checkpoint: Path, cache: Any) -> None:
    _, values = run(checkpoint, cache=cache)
    config = Generate.read(SETTINGS).model.train.model
    expected = cache_bytes(config, cache, batch=2, prompt=8, new_tokens=12, bytes_per_value=4)
    assert values["cache_bytes"] == values["cache_bytes_formula"] == [(0, expected)]
    assert (expected == 0) == (cache == "none")
    assert values["peak_tensor_bytes"][0][1] > expected


def test_units_differ_in_time_alone(checkpoint: Path) -> None:
    result, values = run(checkpoint, cache="dynamic", units=3)
    for metric in TIMES:
        assert [step for step, _ in values[metric]] == [0, 1, 2]
        assert all(value > 0 for _, value in values[metric])
    assert {metric for metric, samples in values.items() if len(samples) == 1} == set(Generate.metrics) - {
        *TIMES,
        *ENERGY_METRICS,
    }
    assert "," not in result.outputs["tokens"]  # one digest: every unit gave the same tokens
    assert result.spent["new_tokens"] == 2 * 12
    assert result.timed is not None
    assert result.timed.tokens == 3 * 2 * 12
    assert result.spent["prompt_tokens"] == 2 * 8
    train = Generate.read(SETTINGS).model.train
    assert result.spent["updates"] == train.updates
    assert result.spent["training_tokens"] == train.updates * train.update_tokens


def test_speeds_are_counts_over_the_same_times(checkpoint: Path) -> None:
    _, values = run(checkpoint, units=1)
    first, prefill, decode, together = (values[metric][0][1] for metric in TIMES)
    assert prefill == pytest.approx(2 * 8 / first)
    assert together == pytest.approx(2 * 12 / (first + 2 * 11 / decode))


def test_a_seed_is_a_choice_of_prompts_and_no_prompt_is_repeated(checkpoint: Path) -> None:
    chosen = []
    for seed in (0, 0, 1):
        task, context = task_and_context(checkpoint, seed)
        chosen.append(task.subject(context).tokens)
    assert torch.equal(chosen[0], chosen[1])
    assert not torch.equal(chosen[0], chosen[2])
    assert not torch.equal(chosen[0][0], chosen[0][1])
    assert chosen[0].shape == (2, 8)


def test_memory_is_watched_off_the_clock(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every speed is reported before the first tensor is watched."""
    from harness.telemetry import tensor_memory

    order: list[str] = []

    class Watch(tensor_memory.TensorPeak):  # type: ignore[no-untyped-call]
        def __enter__(self) -> Any:
            order.append("watching")
            return super().__enter__()

    monkeypatch.setattr(tensor_memory, "TensorPeak", Watch)
    task, context = task_and_context(checkpoint, cache="static")

    def report(metric: str, value: float, step: int = 0, /) -> None:
        order.append(metric)

    task.run(context, report)
    watching = order.index("watching")
    assert order.count("watching") == 1
    assert {metric for metric in order[:watching] if metric in TIMES} == set(TIMES)
    assert set(order[watching:]) == {"watching", "peak_tensor_bytes", "cache_bytes", "cache_bytes_formula"}


def test_a_generation_beyond_the_model_is_refused() -> None:
    message = r"prompts.tokens 8 \+ new_tokens 57 is more than the model's max_positions 64"
    with pytest.raises(ValidationError, match=message):
        Generate.read({**SETTINGS, "new_tokens": 57})
    assert Generate.read({**SETTINGS, "new_tokens": 56}).new_tokens == 56
