"""A trained language model on held-out text: what is reported is the plain mean over tokens, of the model
that was meant.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from harness.config import digest
from harness.data.corpus import load_corpus
from harness.errors import CorpusError
from harness.invariants.registry import find_invariant
from harness.models.config import ModelConfig
from harness.tasks.base import Context, Result
from harness.tasks.evaluate import Evaluate
from harness.training.checkpoint import load_model
from tests.tasks.tiny_recipes import RECIPE

TOKENS = 100
KEEPING = {**RECIPE, "keep": [3, 5], "evaluate_every": 100}


def settings(after: int | None = None, **changes: Any) -> dict[str, Any]:
    model = {"recipe": "tiny", "train": KEEPING, **({} if after is None else {"after": after})}
    text = {"corpus": "python-docs", "split": "test"}
    return {"model": model, "text": text, "evaluation_tokens": TOKENS, "batch": 2, **changes}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained") / "model"


@pytest.fixture
def context(folder: Path) -> Context:
    training = Evaluate.read(settings()).model.train
    context = Context(seed=0, device="cpu", checkpoints={digest(training.plain()): str(folder)})
    if not folder.exists():
        training.run(context, lambda *_sample: None)
    return context


def run(task: Evaluate, context: Context) -> tuple[Result, dict[str, float]]:
    values: dict[str, float] = {}
    result = task.run(context, lambda metric, value, _step=0, /: values.update({metric: value}))
    return result, values


def plain_loss(folder: Path, split: str, after: int | None) -> float:
    """In float64, from the whole logits of each row: bytes are ids from 3 on."""
    config = Evaluate.read(settings()).model.decoder
    assert isinstance(config, ModelConfig)
    model = load_model(folder, config, after=after).double()
    ids = torch.tensor([byte + 3 for byte in load_corpus("python-docs").text(split).encode()[: TOKENS + 1]])
    nats = torch.zeros((), dtype=torch.float64)
    for start in range(0, TOKENS, RECIPE["length"]):
        row = ids[start : min(start + RECIPE["length"], TOKENS) + 1]
        nats += torch.nn.functional.cross_entropy(model(row[None, :-1])[0], row[1:], reduction="sum")
    return float(nats.detach() / TOKENS)


@pytest.mark.parametrize("after", [None, 3, 8])
def test_losses_are_the_means_over_tokens_of_the_model_that_was_meant(
    context: Context, folder: Path, after: int | None
) -> None:
    result, values = run(Evaluate.read(settings(after)), context)
    stored = 3 if after == 3 else None
    assert set(values) == set(Evaluate.metrics)
    assert values["validation_loss"] == pytest.approx(plain_loss(folder, "test", stored), rel=1e-6)
    assert values["training_text_loss"] == pytest.approx(plain_loss(folder, "train", stored), rel=1e-6)
    assert values["validation_perplexity"] == pytest.approx(math.exp(values["validation_loss"]))
    assert values["bits_per_byte"] == pytest.approx(
        values["validation_loss"] / math.log(2)
    )  # a token is a byte
    assert result.spent["updates"] == (after or 8)
    assert result.spent["training_tokens"] == (after or 8) * RECIPE["batch"] * RECIPE["length"]
    assert result.spent["evaluation_tokens"] == 2 * TOKENS


def test_a_model_kept_on_the_way_is_the_one_of_a_training_that_ended_there(
    context: Context, folder: Path, tmp_path: Path
) -> None:
    """With a schedule that does not look ahead."""
    train = {**KEEPING, "schedule": {"kind": "constant"}}
    short = {key: value for key, value in train.items() if key != "keep"} | {"updates": 3}
    results = []
    for recipe, after in ((train, 3), (short, None)):
        model = {"recipe": "tiny", "train": recipe} | ({} if after is None else {"after": after})
        task = Evaluate.read(settings(model=model))
        folder = tmp_path / str(after)
        context = Context(seed=1, device="cpu", checkpoints={digest(task.model.train.plain()): str(folder)})
        task.model.train.run(context, lambda *_sample: None)
        result, _ = run(task, context)
        results.append((result.outputs, load_model(folder, task.model.decoder, after=after).state_dict()))
    assert results[0][0] == results[1][0]
    assert all(
        torch.equal(stored, ended)
        for stored, ended in zip(results[0][1].values(), results[1][1].values(), strict=True)
    )


def test_an_invariant_is_checked_on_the_kept_model(context: Context, folder: Path) -> None:
    task = Evaluate.read(settings(3))
    subject = task.subject(context)
    assert subject.tokens.shape == (2, RECIPE["length"])
    stored = load_model(folder, task.model.decoder, after=3)
    assert all(
        torch.equal(a, b) for a, b in zip(subject.model.parameters(), stored.parameters(), strict=True)
    )
    assert all(check.passed for check in find_invariant("causality").check_subject(subject))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": {"recipe": "tiny", "train": KEEPING, "after": 4}},
            "keeps no model after 4 updates; it keeps one after 3, 5, 8",
        ),
        ({"model": {"recipe": "tiny", "train": KEEPING, "after": 0}}, "keeps no model after 0 updates"),
        ({"evaluation_tokens": 0}, "greater than 0"),
        ({"text": {"corpus": "pythondocs"}}, "did you mean 'python-docs'"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Evaluate.read(settings(**changes))


def test_a_split_that_is_not_there(context: Context) -> None:
    task = Evaluate.read(settings(text={"corpus": "python-docs", "split": "validation"}))
    with pytest.raises(CorpusError, match="no split 'validation'; did you mean 'valid'"):
        run(task, context)
