"""Every task by its name."""

from __future__ import annotations

from types import MappingProxyType

from harness.errors import InputError, did_you_mean
from harness.tasks.base import Task
from harness.tasks.continue_text import ContinueText
from harness.tasks.evaluate import Evaluate
from harness.tasks.generate import Generate
from harness.tasks.step import Step
from harness.tasks.train import Train
from harness.tasks.translate import Translate

TASKS: MappingProxyType[str, type[Task]] = MappingProxyType(
    {task.name: task for task in (Train, Evaluate, Step, Generate, Translate, ContinueText)}
)


def task_class(name: str) -> type[Task]:
    """The class of a task; InputError with a suggestion where there is none."""
    try:
        return TASKS[name]
    except KeyError:
        raise InputError(f"unknown task {name!r}", hint=did_you_mean(name, TASKS)) from None
