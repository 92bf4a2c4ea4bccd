"""What a task expects to spend by its settings is what its trials spend; fingerprints follow the content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.config import digest
from harness.tasks.base import Context, Task
from harness.tasks.registry import task_class
from harness.tasks.train import Train
from harness.tasks.work import amount_text, compared, fingerprint
from tests.tasks.test_step import SETTINGS
from tests.tasks.tiny_recipes import RECIPE, continuation

MODEL = {"recipe": "tiny", "train": RECIPE}
PROMPTS = {"corpus": "python-docs", "split": "test", "count": 2, "tokens": 8}
TASKS: dict[str, dict[str, Any]] = {
    "train": RECIPE,
    "step": SETTINGS,
    "evaluate": {"model": MODEL, "text": {"corpus": "python-docs"}, "evaluation_tokens": 64},
    "generate": {"model": MODEL, "prompts": PROMPTS, "new_tokens": 4, "units": 1},
    "continue_text": continuation(new_tokens=4),
}
MEASURED_ONLY = {"flops"}


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    key = digest(Train.read(RECIPE).plain())
    return Context(seed=0, device="cpu", checkpoints={key: str(tmp_path_factory.mktemp("work") / "model")})


def ran(task: Task, context: Context) -> dict[str, float | str]:
    for training in task.trainings():
        if not Path(context.checkpoints[digest(training.plain())]).exists():
            training.run(context, lambda *_sample: None)
    return dict(task.run(context, lambda *_sample: None).spent)


@pytest.mark.parametrize("name", TASKS)
def test_what_was_expected_is_spent(name: str, context: Context) -> None:
    task = task_class(name).read(TASKS[name])
    expected, spent = task.expected_work(), ran(task, context)
    assert set(expected) == set(spent) - MEASURED_ONLY
    for quantity, amount in expected.items():
        assert isinstance(amount, str) == isinstance(spent[quantity], str)
        if not isinstance(amount, str):
            assert (quantity, amount) == (quantity, spent[quantity])


def test_equal_content_is_equal_whatever_its_name() -> None:
    first, copy, other = fingerprint("a", [1]), fingerprint("b", [1]), fingerprint("a", [2])
    assert compared(first) == compared(copy) != compared(other)
    assert amount_text(first).startswith("a (")
    assert (amount_text(1234567), compared(12.0)) == ("1,234,567", 12.0)
    assert amount_text("all") == "all"
