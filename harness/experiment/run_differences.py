"""What differs between runs: the settings of their studies, their code, and their machines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.store.rows import Run
from harness.study.dotted_paths import leaves
from harness.wording import UNKNOWN

MISSING_TEXT = UNKNOWN
"""Stands for a setting that one side does not have."""

_SIMPLE = re.compile(r"[A-Za-z_/][\w./+ -]*(?<! )", re.ASCII)
"""Texts that need no quotes in YAML."""

NOT_COMPARED = ("nvml_reason",)
"""Fields of an environment that no measurement depends on."""


@dataclass(frozen=True, kw_only=True)
class SettingDifference:
    """A setting of a study that differs, with both values as JSON."""

    path: str
    before: str
    now: str

    @property
    def text(self) -> str:
        return f"{self.path}={self.now}"


@dataclass(frozen=True, kw_only=True)
class RunDifference:
    """Something that is not equal in all runs. `kind` is `study`, `run` or `machine`; `values` has one text
    per run.
    """

    kind: str
    path: str
    values: tuple[str, ...]


def setting_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[SettingDifference]:
    """The settings that differ between two studies as plain data, in the order of the documents."""
    return [
        SettingDifference(path=path, before=first, now=second)
        for path, (first, second) in _differing([before, now], _as_setting)
    ]


def run_differences(runs: Sequence[Run]) -> list[RunDifference]:
    """What differs between runs: what was declared, then the code, the seeds and the planted bug, then the
    machine and its software.
    """
    studies = [json.loads(run.study_json) for run in runs]
    facts = [
        {
            "scale": run.scale,
            "code": run.code_digest,
            "draw of seeds": run.draw,
            "draw of trainings": run.training_draw,
            "planted bug": run.plant,
        }
        for run in runs
    ]
    machines = [
        {name: value for name, value in run.environment.items() if name not in NOT_COMPARED} for run in runs
    ]
    kinds = (("study", studies, _as_setting), ("run", facts, _as_fact), ("machine", machines, _as_fact))
    return [
        RunDifference(kind=kind, path=path, values=values)
        for kind, documents, text in kinds
        for path, values in _differing(documents, text)
    ]


def _differing(
    documents: Sequence[Mapping[str, Any]], text: Callable[[Any], str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The path and the values of each leaf that is not the same in all documents."""
    known = [dict(leaves(dict(document))) for document in documents]
    for path in dict.fromkeys(path for side in known for path in side):
        values = tuple(text(side[path]) if path in side else MISSING_TEXT for side in known)
        if len(set(values)) > 1:
            yield path, values


def _as_fact(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _as_setting(value: Any) -> str:
    """The value as `--set` takes it."""
    simple = isinstance(value, str) and _SIMPLE.fullmatch(value) and not _is_json(value)
    return value if simple else json.dumps(value, ensure_ascii=False)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
