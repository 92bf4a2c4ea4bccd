"""Site profiles: TOML files outside of the project that say where a site runs trials.

    backend = "ray"

    [ray]
    address = "head.cluster:6379"

Nothing of a profile enters the identity of a trial or of a run.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import InputError, Location, did_you_mean
from harness.paths import expanded, home, is_file
from harness.run.backends.registry import BACKENDS, backend_class
from harness.run.backends.settings import BackendSettings, LocalSettings

BACKEND_KEY = "backend"
"""The key that names the backend. All others are tables, with the name of a backend."""


def chosen_backend(backend: str | None = None, profile: str | None = None) -> BackendSettings:
    """The settings of the backend that is named, or else of the one that the profile names. A profile is a
    name or a path; its table of the backend counts. Without either, trials run on this machine.

    Raises InputError if there is no such backend or profile, or if the profile is not valid.
    """
    if backend is None and profile is None:
        return LocalSettings()
    if backend is not None:
        backend_class(backend)
    named, tables = read_profile(profile_file(profile)) if profile is not None else (None, {})
    name = backend or named or LocalSettings.name
    return tables[name] if name in tables else _settings(name, {}, Location(profile or f"--backend {name}"))


def profile_file(name: str) -> Path:
    """The file of a profile: a path with a slash or with the ending .toml, or else a name in the user's
    folder of profiles. Raises InputError if there is no such file.
    """
    if "/" in name or name.endswith(".toml"):
        path, hint = expanded(name), None
    else:
        folder = profile_folder()
        path = folder / f"{name}.toml"
        hint = did_you_mean(name, [file.stem for file in folder.glob("*.toml")])
    if not is_file(path):
        raise InputError(f"there is no profile {path}", hint=hint or "docs/clusters.md says how to write one")
    return path


def profile_folder() -> Path:
    """`$XDG_CONFIG_HOME/harness/profiles`; by default, that folder in `~/.config`."""
    base = os.environ.get("XDG_CONFIG_HOME")
    if base:
        return Path(base) / "harness" / "profiles"
    of_user = home()
    if of_user is None:
        raise InputError("the home with the profiles is unknown", hint="give the path of the profile")
    return of_user / ".config" / "harness" / "profiles"


def read_profile(path: Path) -> tuple[str | None, dict[str, BackendSettings]]:
    """The name of the backend, if the profile names one, and the settings of every backend that it describes.

    Raises InputError with the file and the key.
    """
    at = Location(str(path))
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"this profile cannot be read: {_reason(error)}", at=at) from None
    named = document.pop(BACKEND_KEY, None)
    if named is not None and not isinstance(named, str):
        raise InputError(f"{BACKEND_KEY} is not the name of a backend", at=at)
    try:
        if named is not None:
            backend_class(named)
    except InputError as error:
        raise InputError(f"{BACKEND_KEY}: {error.message}", at=at, hint=error.hint) from None
    return named, {name: _settings(name, table, at) for name, table in document.items()}


def _settings(name: str, table: Any, at: Location) -> BackendSettings:
    """The settings in one table. A value that is wrong is not shown: it may be a secret."""
    if name not in BACKENDS:
        hint = BACKENDS.refusal(name) or did_you_mean(name, [BACKEND_KEY, *BACKENDS])
        raise InputError(f"there is no key {name!r}", at=at, hint=hint)
    if not isinstance(table, dict):
        raise InputError(f"{name!r} is not a table", at=at, hint=f"write [{name}] and its keys below")
    kind = BACKENDS[name]
    try:
        return kind.read(json.loads(json.dumps(table, default=str)))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join([name, *map(str, first["loc"])])
        if first["type"] == "extra_forbidden":
            hint = did_you_mean(str(first["loc"][-1]), kind.model_fields)
            raise InputError(f"there is no key {key!r}", at=at, hint=hint) from None
        raise InputError(f"{key}: {first['msg']}", at=at) from None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
