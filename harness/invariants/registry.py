"""Every invariant by its name: the folders of this package, and what plug-ins add. Needs no torch."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import harness.invariants
from harness.errors import InputError
from harness.invariants.base import Invariant
from harness.plugins import Registry


def _listed() -> Iterator[Invariant[Any]]:
    for folder in pkgutil.iter_modules(harness.invariants.__path__, "harness.invariants."):
        for value in vars(import_module(folder.name)).values() if folder.ispkg else ():
            if isinstance(value, type) and issubclass(value, Invariant) and value.__module__ == folder.name:
                yield value()


def _named(_: str, value: Any) -> tuple[str, Invariant[Any]] | None:
    if not isinstance(value, type) or not issubclass(value, Invariant) or not hasattr(value, "statement"):
        return None
    return value.name, value()


INVARIANTS: Registry[Invariant[Any]] = Registry(
    "invariants",
    {invariant.name: invariant for invariant in _listed()},
    "a subclass of Invariant with a statement",
    _named,
)


def find_invariant(name: str) -> Invariant[Any]:
    """The invariant of that name. Raises InputError, with the nearest known name, if there is none."""
    if name not in INVARIANTS:
        raise InputError(f"unknown invariant {name!r}", hint=INVARIANTS.hint(name))
    return INVARIANTS[name]
