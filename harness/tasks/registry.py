"""Every task by its name: the modules of this package, and what plug-ins add. Needs no torch."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import harness.tasks
from harness.errors import InputError
from harness.plugins import Registry
from harness.tasks.base import Task


def _listed() -> Iterator[type[Task]]:
    for module in pkgutil.iter_modules(harness.tasks.__path__, "harness.tasks."):
        for value in vars(import_module(module.name)).values() if not module.ispkg else ():
            if isinstance(value, type) and issubclass(value, Task) and hasattr(value, "name"):
                yield value


def _named(_: str, value: Any) -> tuple[str, type[Task]] | None:
    is_task = isinstance(value, type) and issubclass(value, Task) and hasattr(value, "name")
    return (value.name, value) if is_task and not inspect.isabstract(value) else None


TASKS: Registry[type[Task]] = Registry(
    "tasks", {task.name: task for task in _listed()}, "a subclass of Task with a name", _named
)


def task_class(name: str) -> type[Task]:
    """The task of that name. Raises InputError, with the nearest known name, if there is none."""
    if name not in TASKS:
        raise InputError(f"unknown task {name!r}", hint=TASKS.hint(name))
    return TASKS[name]
