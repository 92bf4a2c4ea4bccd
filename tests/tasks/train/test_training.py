"""Training on real text: it learns, it repeats itself bit for bit, and a divergence is data."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError

from harness.config import digest
from harness.errors import CorpusError, InputError
from harness.metrics import ENERGY_METRICS
from harness.models.config import ModelConfig
from harness.models.cost import flops_per_token, parameter_count
from harness.models.init import build_model
from harness.tasks.base import Context, Result
from harness.tasks.train import Train
from harness.training.checkpoint import load_model, weights_digest
from harness.training.evaluation import evaluate
from harness.training.objective import Objective
from harness.training.optim import OptimizerConfig
from tests.tasks.tiny_recipes import RECIPE

OPTIMIZERS = [kind.model_fields["kind"].default for kind in get_args(get_args(OptimizerConfig)[0])]
Trained = tuple[Result, dict[str, list[tuple[int, float]]], Path]


@pytest.fixture
def trained(tmp_path: Path) -> Callable[..., Trained]:
    calls = 0

    def run(seed: int = 0, **changes: Any) -> Trained:
        nonlocal calls
        calls += 1
        task = Train.read({**RECIPE, **changes})
        folder = tmp_path / str(calls)
        values: dict[str, list[tuple[int, float]]] = {}
        context = Context(seed=seed, device="cpu", checkpoints={digest(task.plain()): str(folder)})
        result = task.run(
            context,
            lambda metric, value, step=0, /: values.setdefault(metric, []).append((step, value)),
        )
        return result, values, folder

    return run


def test_it_learns_real_text(trained: Callable[..., Trained]) -> None:
    """From what chance gives, ln 259 = 5.6 nats a byte, to below what letter frequencies alone give, about
    3.3.
    """
    _, values, _ = trained(updates=150, batch=16, evaluate_every=75)
    losses = [value for _, value in values["loss"]]
    held_out = [value for _, value in values["validation_loss"]]
    assert losses[0] == pytest.approx(math.log(259), abs=0.1)
    assert held_out[-1] < held_out[0] < losses[0]
    assert held_out[-1] < 3.3


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(trained: Callable[..., Trained]) -> None:
    """Dropout included, and whatever the process drew before."""
    first, first_values, _ = trained(seed=1)
    torch.rand(7)
    again, again_values, _ = trained(seed=1)
    other, other_values, _ = trained(seed=2)
    assert first.outputs == again.outputs
    assert first.outputs != other.outputs
    assert first_values["loss"] == again_values["loss"] != other_values["loss"]


def test_it_reports_all_its_metrics_and_what_it_spent(trained: Callable[..., Trained]) -> None:
    result, values, folder = trained()
    assert set(values) == set(Train.metrics) - {
        "compile_seconds",
        "validation_loss_as_trained",
        *ENERGY_METRICS,
    }
    assert result.outputs == {"weights": weights_digest(folder)}
    assert result.timed is not None
    assert result.timed.tokens == 8 * 4 * 32
    updates = sum(seconds for _, seconds in values["update_seconds"])
    assert updates <= result.timed.span.end - result.timed.span.begin
    model = Train.read(RECIPE).model
    assert isinstance(model, ModelConfig)
    texts = {name for name, amount in result.spent.items() if isinstance(amount, str)}
    assert texts == {"tokenizer", "training_text", "evaluation_text"}
    assert {name: amount for name, amount in result.spent.items() if name not in texts} == {
        "updates": 8,
        "training_tokens": 8 * 4 * 32,
        "evaluation_tokens": 2 * 256,
        "parameters": parameter_count(model),
        "flops": 3 * 8 * 4 * 32 * flops_per_token(model, keys=32),
        "length": 32,
        "data_workers": 0,
    }


def test_an_update_that_the_scaler_skipped_is_none_that_was_spent(trained: Callable[..., Trained]) -> None:
    precision = {"kind": "fp16-scaled", "initial_scale": 2.0**20}
    result, values, _ = trained(precision=precision, loss={"logits": {"kind": "whole"}})
    [(_, skipped)] = values["skipped_updates"]
    assert 0 < skipped < 8
    assert result.spent["updates"] == 8 - skipped
    assert result.spent["training_tokens"] == 8 * 4 * 32  # they were read all the same
    assert result.notes["skipped_updates"] == skipped


def test_a_training_that_nobody_shares_leaves_no_model_but_its_hash(trained: Callable[..., Trained]) -> None:
    hashes = []
    for seed in (0, 0, 1):
        result = Train.read(RECIPE).run(
            Context(seed=seed, device="cpu", checkpoints={}), lambda *_sample: None
        )
        hashes.append(result.outputs["weights"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_micro_batches_train_like_the_big_batch(trained: Callable[..., Trained]) -> None:
    """The same windows in the same updates; dropout, which would draw other numbers, is off."""
    changes: dict[str, Any] = {"model": {**RECIPE["model"], "dropout": 0.0}}
    (_, undivided, _), (_, parts, _) = trained(**changes), trained(**changes, accumulate=4)
    for metric in ("loss", "validation_loss", "learning_rate"):
        assert [step for step, _ in parts[metric]] == [step for step, _ in undivided[metric]]
        expected = [value for _, value in undivided[metric]]
        assert [value for _, value in parts[metric]] == pytest.approx(expected, rel=1e-4)


def test_the_learning_rate_follows_the_batch(trained: Callable[..., Trained]) -> None:
    _, values, _ = trained(lr_scaling={"rule": "sqrt", "batch": 1})
    assert max(rate for _, rate in values["learning_rate"]) == pytest.approx(2e-2)


def test_compiled_training_is_the_eager_one_and_its_compilation_is_told_apart(
    trained: Callable[..., Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout, whose masks a compiled step draws in another way, is off."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    changes: dict[str, Any] = {"model": {**RECIPE["model"], "dropout": 0.0}}
    (_, eager, _), (_, compiled, _) = trained(**changes), trained(**changes, compile=True)
    assert [step for step, _ in compiled["compile_seconds"]] == [0]
    assert [v for _, v in compiled["loss"]] == pytest.approx([v for _, v in eager["loss"]], rel=1e-4)


def test_keeping_the_model_on_the_way_changes_no_update(trained: Callable[..., Trained]) -> None:
    (plain, values, _), (keeping, kept_values, folder) = trained(), trained(keep=[1, 6])
    assert values["loss"] == kept_values["loss"]
    assert values["validation_loss"] == kept_values["validation_loss"]
    config = Train.read(RECIPE).model
    states = [load_model(folder, config, after=after).state_dict() for after in (1, 6, None)]
    assert all(not torch.equal(a[name], b[name]) for a, b in pairwise(states) for name in a)
    assert keeping.outputs != plain.outputs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keep": [8]}, "keep must be increasing numbers below 8, the number of updates"),
        ({"keep": [4, 2]}, "keep must be increasing"),
        ({"keep": [2, 2]}, "keep must be increasing"),
        ({"keep": [0, 2]}, "greater than 0"),
        ({"keep": [2], "save_every": 4}, "keep and save_every cannot be combined"),
    ],
)
def test_models_that_cannot_be_kept(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Train.read({**RECIPE, **changes})


def test_the_checkpoint_is_the_model_at_the_end(trained: Callable[..., Trained]) -> None:
    config = Train.read(RECIPE).model
    _, _, folder = trained()
    start, end = build_model(config, 0), load_model(folder, config)
    moved = [not torch.equal(a, b) for a, b in zip(start.parameters(), end.parameters(), strict=True)]
    assert all(moved)


@pytest.mark.parametrize("optimizer", ["adamw", "schedule-free-adamw"])
def test_without_updates_the_first_model_is_stored(trained: Callable[..., Trained], optimizer: str) -> None:
    changes: dict[str, Any] = {
        "updates": 0,
        "optimizer": {"kind": optimizer, "lr": 1e-3},
        "schedule": {"kind": "constant"},
    }
    result, values, folder = trained(seed=3, **changes)
    config = Train.read(RECIPE).model
    start, stored = build_model(config, 3), load_model(folder, config)
    assert all(torch.equal(a, b) for a, b in zip(start.parameters(), stored.parameters(), strict=True))
    assert values.keys() == {"peak_rss_bytes"}
    assert (result.spent["updates"], result.spent["training_tokens"], result.timed) == (0, 0, None)
    assert Train.read({**RECIPE, **changes}).flops() == 0


def test_a_schedule_free_model_is_kept_as_it_was_evaluated(trained: Callable[..., Trained]) -> None:
    """Its averages, not the weights that it trains on."""
    changes: dict[str, Any] = {
        "optimizer": {"kind": "schedule-free-adamw", "lr": 1e-2},
        "schedule": {"kind": "constant"},
    }
    _, values, folder = trained(**changes)
    task = Train.read({**RECIPE, **changes})
    objective = Objective(load_model(folder, task.model), task.loss)
    evaluated = evaluate(objective, task._text(0).evaluation())
    assert evaluated.loss == pytest.approx(values["validation_loss"][-1][1], rel=1e-6)


def test_an_optimizer_of_a_package_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    refused = {}
    for kind in OPTIMIZERS:
        schedule = {"schedule": {"kind": "constant"}} if kind == "schedule-free-adamw" else {}
        task = Train.read({**RECIPE, **schedule, "optimizer": {"kind": kind, "lr": 1e-3}})
        try:
            task.check_installed()
        except InputError as error:
            refused[kind] = str(error)
    assert set(refused) == {"adan", "lion", "shampoo", "soap", "schedule-free-adamw"}
    assert refused["lion"].startswith(
        "optimizer lion is from pytorch-optimizer, which is not installed; pip install"
    )


def test_a_divergence_is_data_and_leaves_no_model(trained: Callable[..., Trained]) -> None:
    result, values, folder = trained(optimizer={"kind": "adamw", "lr": 1e30})
    assert result.notes["diverged"] is True
    assert result.outputs == {}
    assert not math.isfinite(values["loss"][-1][1])
    assert result.spent["updates"] == len(values["loss"]) < 8
    assert not folder.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": 65}, "length 65 is more than the model's max_positions 64"),
        (
            {"schedule": {"kind": "cosine", "warmup": 9}},
            "schedule.warmup 9 is longer than the run of 8 updates",
        ),
        (
            {"schedule": {"kind": "warmup-stable-decay", "warmup": 4, "decay": 5}},
            r"schedule.warmup 4 \+ decay 5 is longer than the run of 8 updates",
        ),
        ({"accumulate": 3}, "batch 4 cannot be divided into 3 equal micro-batches"),
        ({"precision": "fp16-scaled"}, "precision fp16-scaled needs loss.logits.kind whole"),
        ({"precision": "fp8"}, "fp16-scaled"),
        ({"optimizer": {"kind": "lion", "lr": 1e-3, "eps": 1.0}}, r"optimizer.lion.eps"),
        ({"optimizer": {"kind": "schedule-free-adamw", "lr": 1e-3}}, "needs schedule.kind constant"),
        (
            {"precision": "bf16", "optimizer": {"kind": "soap", "lr": 1e-3}},
            "soap decomposes matrices, which is impossible with bfloat16 weights",
        ),
        ({"model": {**RECIPE["model"], "vocab_size": 300}}, "model.vocab_size must be the tokenizer's 259"),
        ({"model": {"preset": "nanno"}}, "no preset 'nanno'; did you mean 'nano'"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_runs(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        Train.read({**RECIPE, **changes})


def test_a_preset_may_be_changed_in_part_and_takes_the_vocabulary_of_the_tokenizer() -> None:
    config = Train.read({**RECIPE, "model": {"preset": "nano", "n_layers": 5}}).model
    assert isinstance(config, ModelConfig)
    assert (config.d_model, config.n_layers, config.vocab_size) == (128, 5, 259)


def _with_vectors(path: Path, *, width: int = 3) -> dict[str, Any]:
    path.write_text("a 1 2 3\ne 4 5 6\n", encoding="utf-8")
    embedding = {"kind": "pretrained", "width": width, "frozen": True}
    model = {**RECIPE["model"], "embedding": embedding, "tie_embeddings": False}
    return {"model": model, "vectors": {"kind": "vectors", "file": str(path)}}


def test_word_vectors_are_what_training_starts_from(trained: Callable[..., Trained], tmp_path: Path) -> None:
    changes = _with_vectors(tmp_path / "small.vec")
    result, _, folder = trained(**changes)
    task = Train.read({**RECIPE, **changes})
    assert [reference.kind for reference in task.corpora()] == ["named", "vectors"]
    assert isinstance(task.model, ModelConfig)
    table = load_model(folder, task.model).embedding.weight.detach()
    assert table[3 + ord("e")].tolist() == [4, 5, 6]  # frozen: as the file has it
    assert table.count_nonzero() == 4 * 3  # a and e, and A and E by their lower case
    assert result.spent["updates"] == RECIPE["updates"]


def test_word_vectors_of_another_width_are_refused(trained: Callable[..., Trained], tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"have 3 values, but model\.embedding\.width is 4"):
        trained(**_with_vectors(tmp_path / "small.vec", width=4))


@pytest.mark.parametrize("left_out", ["model", "vectors"])
def test_word_vectors_and_a_pretrained_embedding_go_together(tmp_path: Path, left_out: str) -> None:
    changes = _with_vectors(tmp_path / "small.vec")
    del changes[left_out]
    with pytest.raises(ValidationError, match="give both or neither"):
        Train.read({**RECIPE, **changes})


def test_a_recipe_without_word_vectors_says_nothing_of_them() -> None:
    assert "vectors" not in Train.read(RECIPE).plain()
