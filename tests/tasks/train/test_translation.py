"""Training on translations: teacher forcing on both kinds of batches, padding without effect, refusals."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from harness.config import digest
from harness.errors import CorpusError
from harness.metrics import ENERGY_METRICS
from harness.models.config import EncoderDecoderConfig, LossConfig
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.init import build_model
from harness.tasks.base import Context, Result
from harness.tasks.step import Step
from harness.tasks.train import Train
from harness.training.checkpoint import load_model
from harness.training.objective import Objective
from tests.models.configs import encoder_decoder_config

MODEL: dict[str, Any] = {
    "kind": "encoder-decoder",
    "d_model": 32,
    "n_encoder_layers": 1,
    "n_decoder_layers": 1,
    "n_heads": 2,
    "d_ff": 64,
    "max_positions": 32,
    "position": {"kind": "sinusoidal"},
}
Values = dict[str, list[float]]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """600 words and their letters in capitals."""
    draw = random.Random(0)
    words = {"".join(draw.choices("abcdef", k=draw.randint(2, 7))) for _ in range(600)}
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    path.write_text("".join(f"{word}\t{word.upper()}\n" for word in sorted(words)))
    return str(path)


def recipe(file: str, **changes: Any) -> Train:
    return Train.read(
        {
            "corpus": {"kind": "files", "files": [file], "source": 1, "target": 2},
            "tokenizer": {"kind": "bytes"},
            "model": MODEL,
            "batch": {"tokens": 256},
            "length": 16,
            "updates": 6,
            "optimizer": {"kind": "adamw", "lr": 1e-2},
            "evaluate_every": 6,
            "evaluation_tokens": 200,
            **changes,
        }
    )


def train(task: Train, folder: Path | None = None) -> tuple[Result, Values]:
    values: Values = {}
    checkpoints = {} if folder is None else {digest(task.plain()): str(folder)}
    result = task.run(
        Context(seed=0, device="cpu", checkpoints=checkpoints),
        lambda metric, value, _step=0, /: values.setdefault(metric, []).append(value),
    )
    return result, values


@pytest.mark.parametrize(("batch", "accumulate"), [({"tokens": 512}, 2), (24, 1)])
def test_it_learns_to_translate(file: str, batch: Any, accumulate: int, tmp_path: Path) -> None:
    """To spell in capitals: from ln 259 to far below what the target alone allows, ln 6 a letter.

    Micro-batches by tokens hold words of one length, an update two of them.
    """
    task = recipe(file, batch=batch, accumulate=accumulate, updates=300, evaluate_every=150)
    result, values = train(task, tmp_path / "model")
    assert values["loss"][0] == pytest.approx(math.log(259), abs=0.2)
    assert values["validation_loss"][-1] < 1.0
    assert isinstance(task.model, EncoderDecoderConfig)
    assert isinstance(load_model(tmp_path / "model", task.model), EncoderDecoder)
    assert set(values) == set(Train.metrics) - {
        "compile_seconds",
        "validation_loss_as_trained",
        *ENERGY_METRICS,
    }
    assert float(result.spent["training_tokens"]) < 300 * (512 if isinstance(batch, dict) else 24 * 16)


def test_micro_batches_and_workers_change_nothing(file: str) -> None:
    _, undivided = train(recipe(file, batch=24))
    _, parts = train(recipe(file, batch=24, accumulate=4, workers=2))
    for metric in ("loss", "validation_loss"):
        assert parts[metric] == pytest.approx(undivided[metric], rel=1e-4)
    _, workers = train(recipe(file, workers=3, prefetch=5))
    assert workers["loss"] == train(recipe(file))[1]["loss"]


def test_padding_has_no_part_in_the_loss_or_its_gradient() -> None:
    """Rows alone and the same rows padded on both sides, in float64."""
    sizes = {key: value for key, value in MODEL.items() if key != "kind"}
    config = encoder_decoder_config(sizes, vocab_size=20)
    random_ids = np.random.default_rng(0)
    rows = [random_ids.integers(3, 20, (3, 1, length)) for length in (3, 7)]
    padded = tuple(
        np.concatenate(
            [np.pad(row[part], ((0, 0), (0, 9 - row.shape[2])), constant_values=fill) for row in rows]
        )
        for part, fill in ((0, 0), (1, 0), (2, -100))
    )
    losses, gradients = [], []
    for batches in ([padded], [tuple(row) for row in rows]):
        model = build_model(config, 0, dtype=torch.float64)
        objective, loss = Objective(model, LossConfig()), 0.0
        for batch in batches:
            share = objective.mean_loss(objective.tensors(batch)).mean * (batch[-1] != -100).sum() / 10
            torch.autograd.backward(share)
            loss += share.item()
        losses.append(loss)
        gradients.append([p.grad for p in model.parameters()])
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {**MODEL, "source_vocab_size": 7}}, "leave model.source_vocab_size out"),
        ({"model": {"preset": "nano"}}, "batch.tokens is for translation"),
        ({"accumulate": 3}, "batch 256 cannot be divided into 3 equal"),
        ({"length": 64}, "more than the model's max_positions 32"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_read(
    file: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        recipe(file, **changes)


@pytest.mark.parametrize("batch", [4096, {"tokens": 65536}])
def test_a_corpus_shorter_than_one_update_is_refused_before_training(file: str, batch: Any) -> None:
    with pytest.raises(CorpusError, match=r"but a batch takes|have fewer tokens than one batch"):
        train(recipe(file, batch=batch, accumulate=64))


def test_a_step_of_translation_is_timed_too() -> None:
    settings = {"model": {"preset": "000-mt", "vocab_size": 50, "d_model": 32, "n_heads": 2}, "length": 8}
    task = Step.read(
        {
            **settings,
            "batch": {"tokens": 64},
            "accumulate": 2,
            "units": 1,
            "warm_up": {"at_most": 1},
            "optimizer": {"kind": "adamw", "lr": 1e-3},
        }
    )
    values: Values = {}
    result = task.run(
        Context(seed=0, device="cpu", checkpoints={}),
        lambda metric, value, _step=0, /: values.setdefault(metric, []).append(value),
    )
    assert result.spent["training_tokens"] == 64
    assert values["activation_bytes"][0] > 0
