"""What a study measures, apart from what it judges: a run is the same as long as this is the same.

The question, the claims, the margins, parity, references, the primary metric and `exploratory` only judge.
They count here where the next trials depend on them: the primary metric ends rounds early, and claims name
arms that tuning must keep. Invariants do not count either: a new one only adds trials that check it.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from harness.config import content
from harness.study.loaded import LoadedStudy
from harness.study.planning.tuning import required_arms
from harness.study.schema import Design

_NOT_MEASURED = frozenset({"exploratory", "arms", "exclude", "limits"})
"""Fields of the design that change no sample. The arms themselves are part of the content."""


def measured_content(loaded: LoadedStudy) -> dict[str, Any]:
    """Everything that can change a sample, or which trials run, as plain data.

    `loaded` is the study before tuning. Settings at their defaults do not enter it.
    """
    study, design = loaded.study, loaded.study.design
    measured: dict[str, Any] = {
        "study": study.study,
        "task": study.task,
        "arms": [arm.name for arm in loaded.arms],
        "conditions": [condition.name for condition in loaded.conditions],
        "tasks": [
            [content(loaded.tasks[arm.name, condition.name]) for condition in loaded.conditions]
            for arm in loaded.arms
        ],
        "design": measured_design(design),
    }
    if design.until is not None:
        measured["primary"] = study.primary
    if study.metrics and (design.until is not None or design.tune is not None):
        measured["metrics"] = {name: declared.content() for name, declared in study.metrics.items()}
    if design.tune is not None and design.tune.finalists is not None:
        measured["required"] = [arm.name for arm in required_arms(loaded)]
    if design.tune is not None and design.tune.search is not None:
        measured["sampler"] = [design.tune.search.sampler.plain(), version("optuna")]
    return measured


def measured_design(design: Design) -> dict[str, Any]:
    """The fields of the design by which trials are planned."""
    return {name: value for name, value in content(design).items() if name not in _NOT_MEASURED}
