"""From a YAML file to a study at one scale: overlays laid on, recipes read, every arm's task config resolved and checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import InputError, StudyError, did_you_mean
from harness.study.arms import Combination, arms, conditions
from harness.study.consistency import check_study, check_tasks
from harness.study.document import Document, KeyPath, Located, read_document
from harness.study.problems import study_error
from harness.study.schema import Study, level_settings
from harness.tasks.base import Task
from harness.tasks.registry import task_class

BODY_SCALE = "cpu"
"""The scale that a study's body is written for; the others are overlays under `scales`."""


@dataclass(frozen=True, kw_only=True)
class LoadedStudy:
    """A study at one scale. `tasks` holds the resolved config of each arm under each condition, by their names."""

    path: Path
    source: str
    scale: str
    study: Study
    arms: tuple[Combination, ...]
    conditions: tuple[Combination, ...]
    tasks: dict[tuple[str, str], Task]

    @property
    def baseline(self) -> Combination:
        return self.arms[0]


def load_study(path: Path, scale: str = BODY_SCALE) -> LoadedStudy:
    """Read and check a study. All its scales are checked, so that none is found broken on the machine it was meant for.

    Raises StudyError with file, line, column and a suggestion.
    """
    document = read_document(path)
    names = _scales(document)
    if scale not in names:
        raise StudyError(
            f"no scale {scale!r} in this study",
            at=document.place(("scales",)),
            hint=did_you_mean(scale, names),
        )
    loaded = {name: _load_scale(document, path, name) for name in names}
    return loaded[scale]


def scales(path: Path) -> tuple[str, ...]:
    """The names of a study's scales, that of its body first."""
    return _scales(read_document(path))


def _scales(document: Document) -> tuple[str, ...]:
    overlays = document.data.get("scales", {})
    if not isinstance(overlays, dict) or not all(isinstance(overlay, dict) for overlay in overlays.values()):
        raise StudyError("scales: expected a mapping of names to settings", at=document.place(("scales",)))
    return (BODY_SCALE, *(name for name in overlays if name != BODY_SCALE))


def _load_scale(document: Document, path: Path, scale: str) -> LoadedStudy:
    whole: Located = document.without("scales")
    if scale in document.data.get("scales", {}):
        whole = whole.merged(document.at("scales", scale))
    whole = _with_recipes(whole, path)
    try:
        study = Study.read(whole.data)
    except ValidationError as error:
        raise study_error(error, whole, Study) from None
    try:
        task_type = task_class(study.task)
    except InputError as error:
        raise StudyError(error.message, at=whole.place(("task",), of_value=True), hint=error.hint) from None
    check_study(study, whole, task_type)
    all_arms, all_conditions = arms(study), conditions(study)
    tasks = {
        (arm.name, condition.name): _task(study, task_type, whole, arm, condition)
        for arm in all_arms
        for condition in all_conditions
    }
    check_tasks(whole, all_arms, all_conditions, tasks)
    return LoadedStudy(
        path=path,
        source=document.text,
        scale=scale,
        study=study,
        arms=all_arms,
        conditions=all_conditions,
        tasks=tasks,
    )


def _task(
    study: Study, task_type: type[Task], whole: Located, arm: Combination, condition: Combination
) -> Task:
    settings = whole.under("base")
    for section, combination in (("across", condition), ("compare", arm)):
        for factor, index in combination.levels.items():
            written = whole.at(section, factor, index)
            level = getattr(study, section)[factor][index]
            for dotted in level_settings(factor, level):
                part = written.at(next(iter(level)), dotted) if isinstance(level, dict) else written
                try:
                    settings = settings.replaced(tuple(dotted.split(".")), part)
                except (KeyError, TypeError):
                    at = whole.place((section, factor, index))
                    raise StudyError(f"{dotted} leads through a setting that has no keys", at=at) from None
    try:
        return task_type.read(settings.data)
    except ValidationError as error:
        raise study_error(error, settings, task_type) from None


def _with_recipes(whole: Located, path: Path) -> Located:
    """Every `{recipe: NAME, …}` below `base` and the factors gets the recipe's training under `train`, overrides on top."""
    for place in [
        place
        for section in ("base", "compare", "across")
        for place in _recipes(whole.data.get(section), (section,))
    ]:
        node = whole.at(*place)
        name = node.data["recipe"]
        file = path.parent / "recipes" / f"{name}.yaml"
        if not file.is_file():
            known = [recipe.stem for recipe in file.parent.glob("*.yaml")]
            at = whole.place((*place, "recipe"), of_value=True)
            raise StudyError(
                f"no recipe {name!r} in {file.parent}", at=at, hint=did_you_mean(str(name), known)
            )
        training: Located = read_document(file)
        if isinstance(node.data.get("train"), dict):
            training = training.merged(node.under("train"))
        whole = whole.replaced((*place, "train"), training)
    return whole


def _recipes(data: Any, path: KeyPath) -> Iterator[KeyPath]:
    if isinstance(data, dict):
        if isinstance(data.get("recipe"), str):
            yield path
        for key, value in data.items():
            yield from _recipes(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _recipes(value, (*path, index))
