"""Whether a study may run programs, and the files of those programs."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

from platformdirs import user_config_path

from harness.errors import InputError, Location, did_you_mean
from harness.programs.source_tree import sources_in
from harness.study.loaded import LoadedStudy
from harness.tasks.command import Command

ALLOW = "allow_commands"


def settings_file() -> Path:
    """The user's own configuration, which may not exist."""
    return user_config_path("transformer-harness", appauthor=False) / "config.toml"


def check_programs_allowed(parts: Iterable[LoadedStudy], *, allowed: bool) -> None:
    """Raises InputError if a study runs programs, and neither the command line nor the user's configuration
    allows it: such a study is code.
    """
    for part in parts:
        for task in part.tasks.values():
            if isinstance(task, Command) and not (allowed or _user_allows()):
                words = " ".join(task.command)
                raise InputError(
                    f"this study runs a program of its own: {words[:200]}",
                    at=Location(str(part.path)),
                    hint="if you trust it, use --allow-commands, or write `allow_commands = true` into "
                    f"{settings_file()}",
                )


def store_programs(parts: Iterable[LoadedStudy], results: Path) -> None:
    """Store the files of all programs, which every trial copies. Raises ChangedError if they have changed."""
    for part in parts:
        for tree in part.programs.values():
            tree.store(sources_in(results))


def _user_allows() -> bool:
    """Raises InputError if the user's configuration is wrong."""
    file = settings_file()
    at = Location(str(file))
    try:
        settings = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"the configuration cannot be read: {error}", at=at) from None
    for name, value in settings.items():
        if name != ALLOW:
            raise InputError(f"unknown setting {name!r}", at=at, hint=did_you_mean(name, [ALLOW]))
        if not isinstance(value, bool):
            raise InputError(f"{ALLOW} must be true or false", at=at)
    return bool(settings.get(ALLOW, False))
