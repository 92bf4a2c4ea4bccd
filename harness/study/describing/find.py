"""Finds settings by a path that a person types: `design.rounds`, `base.optimizer.adamw.lr`, `train.batch`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.errors import InputError, did_you_mean
from harness.study.describing.settings import DescribedSetting, tag_of_group
from harness.study.describing.study_schema import study_definitions
from harness.study.describing.task_schema import task_definitions, task_setting
from harness.study.loaded import Study
from harness.tasks.registry import TASKS

BASE = "base"
"""The key of a study under which the settings of its task stand."""


@dataclass(frozen=True, kw_only=True)
class FoundSetting:
    """A setting, and the tasks that have it. Settings that do not depend on the task have no tasks."""

    setting: DescribedSetting
    tasks: tuple[str, ...] = ()


def study_setting() -> DescribedSetting:
    """The keys of a study as settings inside one setting without a name."""
    reference = {"$ref": f"#/$defs/{Study.__name__}"}
    return DescribedSetting(
        keys=(), path=(), schema=reference, required=True, definitions=study_definitions()
    )


def find_settings(path: str) -> list[FoundSetting]:
    """The settings with this path. Kinds may be left out; then the settings of all kinds are given. The first
    word may be the name of a task, or `base`, or a setting in it.

    Raises InputError with a suggestion if there is none.
    """
    first, *rest = path.split(".")
    if first in TASKS:
        return _of_tasks([first], rest)
    keys = {setting.path[0]: setting for setting in study_setting().inner()}
    if first in keys and first != BASE:
        distinct = _distinct([FoundSetting(setting=one) for one in _inside(keys[first], rest)])
        if not distinct:
            raise _not_found([keys[first]], rest)
        return distinct
    try:
        return _of_tasks(list(TASKS), rest if first == BASE else [first, *rest])
    except InputError:
        if first == BASE or rest:
            raise
        raise InputError(f"there is no setting {path!r}", hint=did_you_mean(first, [*keys, *TASKS])) from None


def _of_tasks(tasks: Sequence[str], parts: list[str]) -> list[FoundSetting]:
    """The settings of these tasks with a path inside `base`."""
    bases = {name: task_setting(TASKS[name], task_definitions()) for name in tasks}
    matches = [
        FoundSetting(setting=setting, tasks=(name,))
        for name, base in bases.items()
        for setting in _inside(base, parts)
    ]
    if not matches:
        raise _not_found(list(bases.values()), parts)
    return _distinct(matches)


def _distinct(matches: list[FoundSetting]) -> list[FoundSetting]:
    """One entry for settings that are described alike, with all of their tasks."""
    distinct: dict[tuple[str, ...], FoundSetting] = {}
    for one in matches:
        setting = one.setting
        inside = ",".join(inner.name for inner in setting.inner())
        key = (setting.name, setting.type, setting.default, setting.bounds, setting.description, inside)
        before = distinct.setdefault(key, replace(one, tasks=()))
        distinct[key] = replace(before, tasks=tuple(dict.fromkeys((*before.tasks, *one.tasks))))
    return list(distinct.values())


def _inside(setting: DescribedSetting, parts: list[str]) -> Iterator[DescribedSetting]:
    """The settings to which the rest of a path leads from a setting."""
    if not parts:
        yield setting
        return
    groups = [group for group in setting.groups if [tag_of_group(group)] == parts]
    for group in groups:
        about = {**group, "description": group.get("description", setting.description)}
        yield replace(setting, path=(*setting.path, parts[0]), schema=about)
    for inner in setting.inner() if not groups else ():
        if list(inner.path[len(setting.path) :]) == parts[:2] and len(parts) > 1:
            yield from _inside(inner, parts[2:])
        elif inner.keys[-1] == parts[0]:
            yield from _inside(inner, parts[1:])


def _not_found(settings: list[DescribedSetting], parts: list[str]) -> InputError:
    """The error for the first part of a path that leads nowhere from any of the settings."""
    for number, part in enumerate(parts):
        inside = [inner for setting in settings for inner in _inside(setting, [part])]
        if number == len(parts) - 1 or not inside:
            break
        settings = inside
    known = {
        name for setting in settings for inner in setting.inner() for name in inner.path[len(setting.path) :]
    }
    where = next((f" in {setting.name}" for setting in settings if setting.path), "")
    return InputError(f"there is no setting {part!r}{where}", hint=did_you_mean(part, known))
