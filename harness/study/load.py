"""From a YAML file to a study at one scale: overlays laid on, recipes read, every arm's task config resolved and checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import InputError, Location, StudyError, did_you_mean
from harness.study.arms import Combination, arms, conditions
from harness.study.claim_rules import check_claims
from harness.study.consistency import check_study, check_tasks
from harness.study.document import Document, KeyPath, Located, read_document, read_text
from harness.study.problems import shown, study_error
from harness.study.schema import Study, level_name, level_settings
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
    settings: tuple[str, ...] = ()

    @property
    def baseline(self) -> Combination:
        return self.arms[0]


def load_study(path: Path, scale: str = BODY_SCALE, settings: Sequence[str] = ()) -> LoadedStudy:
    """Read and check a study. All its scales are checked, so that none is found broken on the machine it was meant for.

    `settings` are `path=value` with the value in YAML (`design.rounds=20`), laid on top of the scale that is asked for. Raises StudyError with file, line, column and a suggestion.
    """
    document = read_document(path)
    names = _scales(document)
    if scale not in names:
        raise StudyError(
            f"no scale {scale!r} in this study",
            at=document.place(("scales",)),
            hint=did_you_mean(scale, names),
        )
    loaded = {}
    for name in names:
        try:
            loaded[name] = _load_scale(document, path, name, settings if name == scale else ())
        except StudyError as error:
            told = (
                f"{error.message} (at scale {name})" if loaded else error.message
            )  # the body alone is sound
            raise StudyError(told, at=error.at, hint=error.hint) from None
    return loaded[scale]


def scales(path: Path) -> tuple[str, ...]:
    """The names of a study's scales, that of its body first."""
    return _scales(read_document(path))


def _scales(document: Document) -> tuple[str, ...]:
    overlays = document.data.get("scales", {})
    if not isinstance(overlays, dict):
        at = document.place(("scales",), of_value=True)
        raise StudyError(f"scales: expected a mapping of names to settings, found {shown(overlays)}", at=at)
    for name, overlay in overlays.items():
        if not isinstance(overlay, dict):
            at = document.place(("scales", name), of_value=True)
            raise StudyError(f"scales.{name}: expected a mapping, found {shown(overlay)}", at=at)
        if "study" in overlay:
            raise StudyError("a scale cannot rename its study", at=document.place(("scales", name, "study")))
    return (BODY_SCALE, *(name for name in overlays if name != BODY_SCALE))


def _with_setting(written: Located, setting: str) -> Located:
    dotted, equals, value = setting.partition("=")
    at = Location(f"--set {setting}")
    keys = tuple(dotted.split("."))
    if not equals or not all(keys) or keys[0] in ("study", "scales"):
        raise StudyError("expected path=value, as in design.rounds=20", at=at)
    part = read_text(f"value: {value}", file=at.file).under("value")
    placed = Located(part.data, dict.fromkeys(part.places, at), dict.fromkeys(part.values, at))
    try:
        return written.replaced(keys, placed, key=at)
    except (KeyError, TypeError):
        raise StudyError(f"{dotted} leads through a setting that has no keys", at=at) from None


def _load_scale(document: Document, path: Path, scale: str, settings: Sequence[str]) -> LoadedStudy:
    written: Located = document.without("scales")
    if scale in document.data.get("scales", {}):
        written = written.merged(document.at("scales", scale))
    for setting in settings:
        written = _with_setting(written, setting)
    recipes = _Recipes(path.parent / "recipes")
    whole = recipes.filled(written)
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
        (arm.name, condition.name): _task(
            task_type, recipes.filled(_settings(study, written, (("across", condition), ("compare", arm))))
        )
        for arm in all_arms
        for condition in all_conditions
    }
    check_tasks(whole, all_arms, all_conditions, tasks)
    check_claims(study, whole, task_type)
    return LoadedStudy(
        settings=tuple(settings),
        path=path,
        source=document.text,
        scale=scale,
        study=study,
        arms=all_arms,
        conditions=all_conditions,
        tasks=tasks,
    )


def _task(task_type: type[Task], settings: Located) -> Task:
    try:
        return task_type.read(settings.data)
    except ValidationError as error:
        raise study_error(error, settings, task_type) from None


def _settings(study: Study, written: Located, chosen: tuple[tuple[str, Combination], ...]) -> Located:
    """The base settings with those of the chosen levels laid on; recipes are filled in afterwards, as a level may name one."""
    settings = written.under("base")
    for section, combination in chosen:
        for factor, index in combination.levels.items():
            at = written.at(section, factor, index)
            level = getattr(study, section)[factor][index]
            named = isinstance(level, dict)
            for dotted in level_settings(factor, level):
                part = at.at(level_name(level), dotted) if named else at
                place = (section, factor, index, level_name(level), dotted) if named else (section, factor)
                key = written.place(place)
                try:
                    settings = settings.replaced(tuple(dotted.split(".")), part, key=key)
                except (KeyError, TypeError):
                    raise StudyError(f"{dotted} leads through a setting that has no keys", at=key) from None
    return settings


class _Recipes:
    """`{recipe: NAME, train: …}` stands for the training in `recipes/NAME.yaml`, with what `train` says itself on top."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, Document] = {}

    def filled(self, part: Located) -> Located:
        """`part` with the training of every recipe that it names."""
        for place in list(_recipes(part.data, ())):
            node = part.at(*place)
            own = node.data.get("train", {})
            if not isinstance(own, dict):
                continue  # validation says what is wrong with it
            training: Located = self._training(
                node.data["recipe"], part.place((*place, "recipe"), of_value=True)
            )
            if own:
                training = training.merged(node.under("train"))
            part = part.replaced((*place, "train"), training, key=part.place((*place, "recipe")))
        return part

    def _training(self, name: str, at: Location) -> Document:
        if name not in self._read:
            file = self._folder / f"{name}.yaml"
            if not file.is_file():
                known = [recipe.stem for recipe in self._folder.glob("*.yaml")]
                hint = did_you_mean(name, known)
                raise StudyError(f"no recipe {name!r} in {self._folder}", at=at, hint=hint)
            self._read[name] = read_document(file)
        return self._read[name]


def _recipes(data: Any, path: KeyPath) -> Iterator[KeyPath]:
    if isinstance(data, dict):
        if isinstance(data.get("recipe"), str):
            yield path
        for key, value in data.items():
            yield from _recipes(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _recipes(value, (*path, index))
