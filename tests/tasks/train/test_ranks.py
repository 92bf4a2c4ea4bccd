"""A training in two processes records what one process records, and stores the same model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.config import digest
from harness.run.ranks import in_ranks
from harness.tasks.base import Context, Result
from harness.tasks.train import Train
from harness.training.checkpoint import load_model
from tests.tasks.tiny_recipes import RECIPE

PLAIN = {**RECIPE, "model": {**RECIPE["model"], "n_layers": 2, "dropout": 0.0}, "updates": 6, "keep": [3]}
Recorded = dict[str, list[float]]


def run(folder: Path, parallel: dict[str, Any] | None) -> tuple[Train, Result, Recorded]:
    task = Train.read(PLAIN if parallel is None else {**PLAIN, "parallel": parallel})

    def run_rank(rank: int) -> tuple[Result, Recorded]:
        recorded: Recorded = {}
        context = Context(seed=0, device="cpu", checkpoints={digest(task.plain()): str(folder / "model")})
        result = task.run(context, lambda name, value, _=0, /: recorded.setdefault(name, []).append(value))
        return result, recorded

    result, recorded = run_rank(0) if parallel is None else in_ranks(task.ranks, run_rank, folder / "ranks")
    return task, result, recorded


@pytest.mark.parametrize(
    "parallel",
    [{"data": 2}, {"data": 2, "shard": "full"}, {"tensor": 2}, {"pipeline": 2, "micro_batches": 2}],
    ids=str,
)
def test_the_curves_and_the_stored_models_are_those_of_one_process(
    parallel: dict[str, Any], tmp_path: Path
) -> None:
    task, one, expected = run(tmp_path / "one", None)
    _, several, recorded = run(tmp_path / "several", parallel)
    # A rank that has a part of the model only does not count the zeros in its gradient.
    not_counted = set() if parallel == {"data": 2} else {"zero_gradients"}
    assert set(recorded) == set(expected) - not_counted
    for metric in ("loss", "gradient_norm", "clipped_gradient_norm", "validation_loss", "log_z"):
        assert recorded[metric] == pytest.approx(expected[metric], rel=1e-5), metric
    assert several.spent == one.spent
    for after in (None, 3):
        models = [
            load_model(tmp_path / name / "model", task.model, after=after) for name in ("one", "several")
        ]
        for mine, other in zip(*(model.parameters() for model in models), strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)
