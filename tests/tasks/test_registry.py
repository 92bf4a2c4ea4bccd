"""The registry lists every task, and each task declares metrics that exist."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.errors import InputError
from harness.metrics import METRICS
from harness.tasks.registry import TASKS, task_class


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_metric_of_a_task_has_a_record(name: str) -> None:
    assert set(TASKS[name].metrics) <= set(METRICS)
    assert TASKS[name].name == name


def test_a_task_is_a_module_with_its_name() -> None:
    assert set(TASKS) == {"train", "evaluate", "step", "generate", "translate", "continue_text", "command"}
    assert all(task.__module__ == f"harness.tasks.{name}" for name, task in TASKS.items())


def test_an_unknown_task_is_refused_with_a_suggestion() -> None:
    with pytest.raises(InputError, match=r"unknown task 'trian'; did you mean 'train'\?"):
        task_class("trian")


def test_listing_tasks_does_without_torch() -> None:
    code = "import sys, harness.tasks.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
