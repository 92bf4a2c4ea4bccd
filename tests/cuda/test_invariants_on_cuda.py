"""Invariants on arms whose model is on the GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.invariants.base import Invariant
from harness.invariants.registry import INVARIANTS
from harness.invariants.subjects import TrainingSubject
from harness.tasks.base import Context
from harness.tasks.train import Train
from tests.tasks.test_training_task import ARM, ARMS

FITTING = [
    pytest.param(invariant, id=name)
    for name, invariant in INVARIANTS.items()
    if issubclass(TrainingSubject, invariant.needs)
]


@pytest.mark.parametrize("invariant", FITTING)
@pytest.mark.parametrize("arm", ARMS)
def test_they_hold_on_training_arms(
    invariant: Invariant[Any], arm: str, corpus_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(corpus_cache))
    context = Context(seed=3, device="cuda:0", checkpoints={})
    checks = list(invariant.check_subject(Train.read({**ARM, **ARMS[arm]}).subject(context)))
    assert [check for check in checks if not check.passed] == []
