"""The configurations of trials: in full, or as differences from a similar one that the page has in full."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.store.rows import TrialRow
from harness.study.arm_settings import setting_text


@dataclass(frozen=True, kw_only=True)
class Written:
    """A configuration that the page has in full: its anchor, and its dotted names with their texts."""

    anchor: str
    title: str
    settings: Mapping[str, str]


def config_text(row: TrialRow) -> str:
    """The configuration of a trial as JSON, or an empty text if none was recorded."""
    if not row.spec_json:
        return ""
    return json.dumps(json.loads(row.spec_json).get("config", {}))


def configuration(row: TrialRow) -> dict[str, str]:
    """The configuration of a trial as dotted names and texts."""
    text = config_text(row)
    return dict(_texts(json.loads(text))) if text else {}


def shortest(settings: Mapping[str, str], written: Sequence[Written]) -> tuple[Written | None, list[str]]:
    """The lines of a configuration: the differences from the most similar one that the page has in full, if
    they are much shorter than the configuration itself.
    """
    if not settings:
        return None, []
    full = list(_differences(settings, {}))
    shorter = [(list(_differences(settings, one.settings)), one) for one in written]
    lines, reference = min(shorter, key=lambda one: len(one[0]), default=(full, None))
    return (reference, lines) if len(lines) < len(full) / 2 else (None, full)


def _differences(settings: Mapping[str, str], before: Mapping[str, str]) -> Iterator[str]:
    yield from (f"{name}: {text}" for name, text in settings.items() if before.get(name) != text)
    yield from (f"without {name}" for name in before if name not in settings)


def _texts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as `dotted.name` and text. Items of a list with settings are numbered from 1."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _texts(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, inner in enumerate(value, start=1):
            yield from _texts(inner, f"{name}.{number}")
    elif name:
        yield name, setting_text(value)
