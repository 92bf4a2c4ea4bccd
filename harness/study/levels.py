"""Levels: the values that a factor or a parameter can have, and how they are named."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

Scalar = bool | int | float | str | None

Level = Scalar | dict[str, dict[str, Any]]
"""A value of the setting that the factor names, or one name with a group of settings."""

Where = Annotated[dict[str, Scalar | list[Scalar]], Field(min_length=1)]
"""Factor → its level, or a list of alternative levels."""


def level_name(level: Level) -> str:
    """The name of a level: its own name, or its value as YAML writes it."""
    if isinstance(level, dict):
        return next(iter(level))
    if isinstance(level, bool):
        return "true" if level else "false"
    return "null" if level is None else str(level)


def level_settings(factor: str, level: Level) -> dict[str, Any]:
    """The settings of a level by their dotted paths."""
    return dict(next(iter(level.values()))) if isinstance(level, dict) else {factor: level}
