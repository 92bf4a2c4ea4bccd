"""Every backend by its name: those that ship, and those of plug-ins. No library of a cluster is imported."""

from __future__ import annotations

import inspect
from typing import Any

from harness.errors import InputError
from harness.plugins import Registry
from harness.run.backends.ray_settings import RaySettings
from harness.run.backends.settings import BackendSettings, LocalSettings
from harness.run.backends.slurm_settings import SlurmSettings


def _named(_: str, value: Any) -> tuple[str, type[BackendSettings]] | None:
    is_kind = isinstance(value, type) and issubclass(value, BackendSettings) and hasattr(value, "name")
    return (value.name, value) if is_kind and not inspect.isabstract(value) else None


BACKENDS: Registry[type[BackendSettings]] = Registry(
    "backends",
    {kind.name: kind for kind in (LocalSettings, RaySettings, SlurmSettings)},
    "a subclass of BackendSettings with a name",
    _named,
)


def backend_class(name: str) -> type[BackendSettings]:
    """The settings of the backend of that name. Raises InputError, with the nearest known name."""
    if name not in BACKENDS:
        raise InputError(f"unknown backend {name!r}", hint=BACKENDS.hint(name))
    return BACKENDS[name]
