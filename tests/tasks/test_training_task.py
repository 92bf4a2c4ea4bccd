"""What a training arm offers to invariants, and that all that need it hold on it."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from harness.invariants.base import Invariant
from harness.invariants.registry import INVARIANTS
from harness.invariants.subjects import TrainingSubject
from harness.tasks.base import Context
from harness.tasks.train import Train
from tests.support.tiny_study import recipe

ARM = recipe(
    ("n_layers: 1", "n_layers: 2"),
    ("max_positions: 64", "max_positions: 32, dropout: 0.1"),
    ("length: 32", "length: 16"),
    ("updates: 4", "updates: 9"),
    ("lr: 1e-3", "lr: 1e-2"),
    ("warmup: 1", "warmup: 2"),
)
TRANSLATOR = {
    "kind": "encoder-decoder",
    "d_model": 16,
    "n_encoder_layers": 1,
    "n_decoder_layers": 1,
    "n_heads": 2,
    "d_ff": 24,
    "max_positions": 32,
    "dropout": 0.1,
    "position": {"kind": "sinusoidal"},
}
CONTEXT = Context(seed=3, device="cpu", checkpoints={})
FITTING = [
    pytest.param(invariant, id=name)
    for name, invariant in INVARIANTS.items()
    if issubclass(TrainingSubject, invariant.needs)
]
ARMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulating": {"accumulate": 2},
    "checkpointed": {
        "model": {**ARM["model"], "checkpointing": {"kind": "blocks"}},
    },
    "bfloat16 products": {"precision": "bf16-autocast"},
    "bfloat16 weights": {"precision": "bf16"},
    "float16 scaled": {"precision": "fp16-scaled", "loss": {"logits": {"kind": "whole"}}},
    "float16 scaled too far": {
        "precision": {"kind": "fp16-scaled", "initial_scale": 1e7},
        "loss": {"logits": {"kind": "whole"}},
        "optimizer": {"kind": "sgd", "lr": 0.1},
    },
}


def subject(**changes: Any) -> TrainingSubject:
    return Train.read({**ARM, **changes}).subject(CONTEXT)


@pytest.mark.parametrize("invariant", FITTING)
@pytest.mark.parametrize("arm", ARMS)
def test_invariants_hold_on_every_kind_of_arm(invariant: Invariant[Any], arm: str) -> None:
    chosen = subject(**ARMS[arm])
    assert invariant.level_of(chosen) in invariant.levels
    checks = list(invariant.check_subject(chosen))
    assert [check for check in checks if not check.passed] == []
    assert sum(check.compared for check in checks) > 0


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """300 words of 2 to 7 letters and their letters in capitals."""
    draw = random.Random(0)
    words = {"".join(draw.choices("abcdef", k=draw.randint(2, 7))) for _ in range(300)}
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    path.write_text("".join(f"{word}\t{word.upper()}\n" for word in sorted(words)))
    return {"corpus": {"kind": "files", "files": [str(path)], "source": 1, "target": 2}, "model": TRANSLATOR}


@pytest.mark.parametrize("invariant", FITTING)
def test_invariants_hold_on_an_arm_that_translates(invariant: Invariant[Any], pairs: dict[str, Any]) -> None:
    chosen = subject(**pairs, batch=8, accumulate=2)
    assert chosen.sources is not None
    assert (chosen.sources == 0).any()  # padding
    sources, inputs, _ = chosen.micro_batches[0]
    assert (chosen.sources.tolist(), chosen.tokens.tolist()) == (sources.tolist(), inputs.tolist())
    checks = list(invariant.check_subject(chosen))
    assert [check for check in checks if not check.passed] == []
    assert sum(check.compared for check in checks) > 0


def test_a_planted_bug_is_found_on_an_arm_that_translates(pairs: dict[str, Any]) -> None:
    parity = INVARIANTS["accumulation-parity"]
    with parity.planted_bug("not-divided").plant():
        checks = list(parity.check_subject(subject(**pairs, batch=8, accumulate=2)))
    assert not all(check.passed for check in checks)


def test_it_is_the_arm_in_its_first_state() -> None:
    first, second = (subject(accumulate=2) for _ in range(2))
    assert not first.model.training
    assert first.tokens.shape == (2, 16)
    assert [len(update) for update in first.updates(2)] == [2, 2]
    for one, other in zip(first.model.parameters(), second.build(second.config).parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("name", "arm"),
    [
        ("checkpointing-parity/rng-not-preserved", "checkpointed"),
        ("checkpointing-parity/other-inputs", "checkpointed"),
        ("accumulation-parity/not-divided", "accumulating"),
        ("schedule-per-update/per-micro-batch", "accumulating"),
        ("amp-skips/moved-on-a-skip", "float16 scaled"),
        ("amp-skips/double-unscale", "float16 scaled"),
    ],
)
def test_a_planted_bug_is_found_on_the_arm_itself(name: str, arm: str) -> None:
    invariant, _, bug = name.partition("/")
    with INVARIANTS[invariant].planted_bug(bug).plant():
        assert not all(check.passed for check in INVARIANTS[invariant].check_subject(subject(**ARMS[arm])))
