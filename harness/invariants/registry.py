"""Every invariant by its name: each is a folder of this package. Listing them needs no torch."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

import harness.invariants
from harness.errors import InputError, did_you_mean
from harness.invariants.base import Invariant


def _listed() -> Iterator[Invariant[Any]]:
    for folder in pkgutil.iter_modules(harness.invariants.__path__, "harness.invariants."):
        for value in vars(import_module(folder.name)).values() if folder.ispkg else ():
            if isinstance(value, type) and issubclass(value, Invariant) and value.__module__ == folder.name:
                yield value()


INVARIANTS: Mapping[str, Invariant[Any]] = MappingProxyType(
    {invariant.name: invariant for invariant in _listed()}
)


def find_invariant(name: str) -> Invariant[Any]:
    """The invariant of that name. Raises InputError, with the nearest known name, if there is none."""
    if name not in INVARIANTS:
        raise InputError(f"unknown invariant {name!r}", hint=did_you_mean(name, INVARIANTS))
    return INVARIANTS[name]
