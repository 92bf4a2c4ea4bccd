"""Every task by its name: each is a module of this package. Needs no torch."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import MappingProxyType

import harness.tasks
from harness.errors import InputError, did_you_mean
from harness.tasks.base import Task


def _listed() -> Iterator[type[Task]]:
    for module in pkgutil.iter_modules(harness.tasks.__path__, "harness.tasks."):
        for value in vars(import_module(module.name)).values() if not module.ispkg else ():
            if isinstance(value, type) and issubclass(value, Task) and hasattr(value, "name"):
                yield value


TASKS: MappingProxyType[str, type[Task]] = MappingProxyType({task.name: task for task in _listed()})


def task_class(name: str) -> type[Task]:
    """The task of that name. Raises InputError, with the nearest known name, if there is none."""
    if name not in TASKS:
        raise InputError(f"unknown task {name!r}", hint=did_you_mean(name, TASKS))
    return TASKS[name]
