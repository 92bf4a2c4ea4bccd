"""What the levels of a study set: the settings in which an arm differs from the baseline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.study.arms import Combination
from harness.study.dotted_paths import leaves, value_at
from harness.study.levels import level_settings
from harness.study.loaded import LoadedStudy

RECIPE = "recipe"


def differences(loaded: LoadedStudy, arm: Combination) -> dict[str, list[Any]]:
    """The settings in which an arm differs from the baseline under any condition: path → [value of the
    baseline, value of the arm].
    """
    differing: dict[str, list[Any]] = {}
    for condition in loaded.conditions:
        base, changed = (
            dict(leaves(loaded.tasks[name, condition.name].plain()))
            for name in (loaded.baseline.name, arm.name)
        )
        for path in sorted({*base, *changed}):
            if base.get(path) != changed.get(path):
                differing.setdefault(path, [base.get(path), changed.get(path)])
    return differing


def setting_text(value: Any) -> str:
    """A value as YAML writes it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)


def changed_by_levels(loaded: LoadedStudy, arm: Combination) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """For each factor in which an arm differs from the baseline: the factor, the level, and the settings that
    the level changes. A recipe counts as the settings of its training that it changes.
    """
    condition = loaded.conditions[0].name
    base, changed = (loaded.tasks[name, condition].plain() for name in (loaded.baseline.name, arm.name))
    for factor, index in arm.levels.items():
        if index != loaded.baseline.levels.get(factor):
            paths = level_settings(factor, loaded.study.compare[factor][index])
            different = [path for path in paths if value_at(base, path) != value_at(changed, path)]
            settings = [inner for path in different for inner in _settings(path, base, changed)]
            yield factor, arm.names[factor], tuple(dict.fromkeys(settings))


def _settings(path: str, base: dict[str, Any], changed: dict[str, Any]) -> Iterator[str]:
    model, _, last = path.rpartition(".")
    training = f"{model}.train"
    if last != RECIPE:
        yield path
        return
    first, second = value_at(base, training), value_at(changed, training)
    yield from (f"{training}.{key}" for key in second if first.get(key) != second[key])
