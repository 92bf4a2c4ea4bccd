"""A training on a GPU: the CPU's losses, the same bits again, and again from where it was interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.config import digest
from harness.tasks.base import Context
from harness.tasks.train import Train
from harness.training.checkpoint import weights_digest
from tests.tasks.tiny_recipes import RECIPE

UPDATES = 12
ARMS: dict[str, dict[str, Any]] = {
    "adamw": {},
    "accumulated": {"accumulate": 2},
    "bfloat16": {"precision": "bf16-autocast"},
    "scaled float16": {"precision": "fp16-scaled", "loss": {"logits": {"kind": "whole"}}},
}


@pytest.fixture(autouse=True)
def cached_corpus(corpus_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(corpus_cache))


def train(
    folder: Path, *, device: str = "cuda:0", stop_at: int | None = None, **changes: Any
) -> dict[int, float]:
    """The losses of its updates. `stop_at`: interrupted when the loss of that update is reported."""
    training = Train.read({**RECIPE, "updates": UPDATES, "save_every": 2, "evaluate_every": 4, **changes})
    losses: dict[int, float] = {}

    def report(metric: str, value: float, step: int = 0, /) -> None:
        if metric == "loss":
            losses[step] = value
            if step == stop_at:
                raise KeyboardInterrupt

    training.run(Context(seed=3, device=device, checkpoints={digest(training.plain()): str(folder)}), report)
    return losses


def test_the_losses_are_those_of_the_cpu(tmp_path: Path) -> None:
    plain: dict[str, Any] = {"model": {**RECIPE["model"], "dropout": 0.0}}  # a GPU draws other numbers
    expected = train(tmp_path / "cpu", device="cpu", **plain)
    losses = train(tmp_path / "gpu", **plain)
    assert list(losses) == list(range(UPDATES))
    assert losses == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("arm", ARMS)
def test_again_and_interrupted_it_gives_the_same_bits(arm: str, tmp_path: Path) -> None:
    changes = {"model": {**RECIPE["model"], "dropout": 0.1}, **ARMS[arm]}
    uninterrupted = train(tmp_path / "uninterrupted", **changes)
    assert train(tmp_path / "again", **changes) == uninterrupted
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "interrupted", stop_at=7, **changes)
    assert not (tmp_path / "interrupted").exists()
    assert train(tmp_path / "interrupted", **changes) == uninterrupted
    digests = {weights_digest(tmp_path / name) for name in ("uninterrupted", "again", "interrupted")}
    assert len(digests) == 1
