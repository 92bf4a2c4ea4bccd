"""A training that is killed goes on bit for bit; a state that does not belong to it is refused before
anything is trained.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.config import digest
from harness.errors import HarnessError
from harness.tasks.base import Context, Result
from harness.tasks.train import Train
from harness.training.checkpoint import weights_digest
from tests.tasks.tiny_recipes import RECIPE

UPDATES = 12
Samples = list[tuple[str, float, int]]
TIMED = {
    "update_seconds",
    "data_seconds",
    "training_tokens_per_second",
    "mfu",
    "peak_rss_bytes",
}


def task(**changes: Any) -> Train:
    return Train.read({**RECIPE, "updates": UPDATES, "save_every": 2, "evaluate_every": 5, **changes})


def train(training: Train, folder: Path, kill_at: int | None = None) -> tuple[Result, Samples]:
    """Into `folder`; killed when the given update is reported."""
    samples: Samples = []

    def report(metric: str, value: float, step: int = 0, /) -> None:
        samples.append((metric, value, step))
        if metric == "loss" and step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    context = Context(seed=3, device="cpu", checkpoints={digest(training.plain()): str(folder)})
    return training.run(context, report), samples


def killed(training: Train, folder: Path, update: int) -> None:
    def run() -> None:
        torch.set_num_threads(1)
        train(training, folder, kill_at=update)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not folder.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accumulate": 2, "optimizer": {"kind": "muon", "lr": 1e-2}},
        {"optimizer": {"kind": "shampoo", "lr": 1e-2, "start": 2, "every": 2}},
        {"optimizer": {"kind": "soap", "lr": 1e-2, "every": 3}},
        {"optimizer": {"kind": "schedule-free-adamw", "lr": 1e-2}, "schedule": {"kind": "constant"}},
        {"precision": "fp16-scaled", "loss": {"logits": {"kind": "whole"}}},
    ],
    ids=["adamw", "accumulated muon", "shampoo", "soap", "schedule-free", "scaled fp16"],
)
def test_killed_at_any_update_it_ends_as_if_it_had_not_been(tmp_path: Path, changes: dict[str, Any]) -> None:
    training, update = task(**changes), random.randrange(3, UPDATES)
    _, expected = train(training, tmp_path / "whole")
    killed(training, tmp_path / "resumed", update)
    result, samples = train(training, tmp_path / "resumed")
    assert weights_digest(tmp_path / "whole") == weights_digest(tmp_path / "resumed"), f"killed at {update}"
    assert result.spent["updates"] == UPDATES
    repeated = [sample for sample in expected if sample[0] not in TIMED]
    assert [sample for sample in samples if sample[0] not in TIMED] == repeated
    assert sorted((metric, step) for metric, _, step in samples) == sorted((m, s) for m, _, s in expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["resumed", "whole"]


def test_killed_again_and_again_and_before_anything_was_saved(tmp_path: Path) -> None:
    training = task()
    train(training, tmp_path / "whole")
    for update in (1, 3, 4, 9, 11):
        killed(training, tmp_path / "resumed", update)
    train(training, tmp_path / "resumed")
    assert weights_digest(tmp_path / "whole") == weights_digest(tmp_path / "resumed")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    killed(task(), tmp_path / "model", 7)
    return tmp_path / "model.state"


def refused(training: Train, folder: Path) -> str:
    reported: Samples = []
    context = Context(seed=3, device="cpu", checkpoints={digest(training.plain()): str(folder)})
    with pytest.raises(HarnessError) as caught:
        training.run(context, lambda *sample: reported.append(sample))
    assert reported == []
    assert not folder.exists()
    return str(caught.value)


def test_the_state_of_another_recipe_is_refused(saved: Path) -> None:
    said = refused(task(optimizer={"kind": "adamw", "lr": 3e-2}), saved.with_suffix(""))
    assert f"{saved} belongs to another recipe: train.optimizer.lr is 0.01 there but 0.03 now" in said


@pytest.mark.parametrize("damage", ["truncated", "emptied", "one bit"])
def test_a_damaged_state_is_refused(saved: Path, damage: str) -> None:
    content = saved.read_bytes()
    flipped = bytes([content[500] ^ 1])
    saved.write_bytes(
        {"truncated": content[:-1], "emptied": b"", "one bit": content[:500] + flipped + content[501:]}[
            damage
        ]
    )
    said = refused(task(), saved.with_suffix(""))
    assert str(saved) in said
    assert "is damaged" in said
    assert said.endswith("delete it to train from the beginning")


def test_a_training_that_nobody_shares_saves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    task().run(Context(seed=3, device="cpu", checkpoints={}), lambda *_sample: None)
    assert list(tmp_path.iterdir()) == []
