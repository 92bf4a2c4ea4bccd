"""From a YAML file to a study at one scale: overlays laid on, recipes read, every arm's task config resolved
and checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import InputError, Location, StudyError, did_you_mean
from harness.study.arms import Combination
from harness.study.checks.adaptive_design import check_adaptive_design
from harness.study.checks.checker import StudyChecker
from harness.study.checks.claims import check_claims
from harness.study.checks.study import check_study, check_tasks
from harness.study.loaded import LoadedStudy
from harness.study.reading.overlays import BODY_SCALE, Layers, part_names, scale_names
from harness.study.reading.validation_errors import study_error
from harness.study.reading.yaml_document import Document, KeyPath, Located, read_document
from harness.study.schema import level_name, level_settings
from harness.study.study import Study
from harness.tasks.base import Task
from harness.tasks.registry import task_class


def load_study(path: Path, scale: str = BODY_SCALE, settings: Sequence[str] = ()) -> tuple[LoadedStudy, ...]:
    """Read and check a study: its parts, or the one that it is. All its scales are checked, so that none is
    found broken on the machine it was meant for.

    What a part says is laid on top of what the file says for all parts, then what the scale says for all
    parts, then what it says for this one, then `settings`: `path=value` with the value in YAML
    (`design.rounds=20`, or `parts.cost.design.rounds=20` for one part). Raises StudyError with file, line,
    column and a suggestion.
    """
    document = read_document(path)
    names = scale_names(document)
    if scale not in names:
        raise StudyError(
            f"no scale {scale!r} in this study",
            at=document.location(("scales",)),
            hint=did_you_mean(scale, names),
        )
    parts = part_names(document)
    recipes = _Recipes(path.parent / "recipes")
    loaded: dict[str, tuple[LoadedStudy, ...]] = {}
    for name in names:
        chosen = settings if name == scale else ()
        laid = Layers(document, name, chosen)
        found, claims = [], set[str]()
        for part in parts:
            notes = [f"in part {part}"] if part else []
            notes += [f"at scale {name}"] if loaded else []  # the body alone is sound
            try:
                written = laid.part(part)
                one = _load(written, recipes, path=path, document=document, scale=name, settings=chosen)
                _check_claim_ids(one, claims, written)
            except StudyError as error:
                told = f"{error.message} ({', '.join(notes)})" if notes else error.message
                raise StudyError(told, at=error.at, hint=error.hint) from None
            found.append(one)
        loaded[name] = tuple(found)
    return loaded[scale]


def scales(path: Path) -> tuple[str, ...]:
    """The names of a study's scales, that of its body first."""
    return scale_names(read_document(path))


def _check_claim_ids(part: LoadedStudy, known: set[str], written: Located) -> None:
    """A claim is settled once: what all parts share would be claimed of each."""
    for claim in part.study.claims:
        if claim in known:
            at = written.location(("claims", claim))
            raise StudyError(f"claim {claim!r} is made by two parts", at=at, hint="give it to one of them")
        known.add(claim)


def _load(
    written: Located,
    recipes: _Recipes,
    *,
    path: Path,
    document: Document,
    scale: str,
    settings: Sequence[str],
) -> LoadedStudy:
    whole = recipes.filled(written)
    try:
        study = Study.read(whole.data)
    except ValidationError as error:
        raise study_error(error, whole, Study) from None
    try:
        task_type = task_class(study.task)
    except InputError as error:
        raise StudyError(error.message, at=whole.location(("task",), value=True), hint=error.hint) from None
    checker = StudyChecker(study, whole, task_type)
    check_study(checker)
    all_arms, all_conditions = checker.arms, checker.conditions
    tasks = {}
    for arm in all_arms:
        changed = sum(all_arms[0].names.get(factor) != name for factor, name in arm.names.items())
        for condition in all_conditions:
            chosen = _settings(study, written, (("across", condition), ("compare", arm)))
            try:
                tasks[arm.name, condition.name] = _task(task_type, recipes.filled(chosen))
            except StudyError as error:
                if changed < 2:  # else the place of the error does not tell which levels do not go together
                    raise
                hint = "; ".join(filter(None, (error.hint, "`design.exclude` leaves an arm out")))
                raise StudyError(f"{error.message} (in arm {arm.name})", at=error.at, hint=hint) from None
    check_tasks(checker, tasks)
    check_claims(checker, study.claims)
    loaded = LoadedStudy(
        settings=tuple(settings),
        path=path,
        source=document.text,
        scale=scale,
        study=study,
        arms=all_arms,
        conditions=all_conditions,
        tasks=tasks,
    )
    check_adaptive_design(checker, loaded)
    return loaded


def _task(task_type: type[Task], settings: Located) -> Task:
    try:
        return task_type.read(settings.data)
    except ValidationError as error:
        raise study_error(error, settings, task_type) from None


def _settings(study: Study, written: Located, chosen: tuple[tuple[str, Combination], ...]) -> Located:
    """The base settings with those of the chosen levels laid on; recipes are filled in afterwards, as a level
    may name one.
    """
    settings = written.under("base")
    for section, combination in chosen:
        for factor, index in combination.levels.items():
            at = written.at(section, factor, index)
            level = getattr(study, section)[factor][index]
            named = isinstance(level, dict)
            for dotted in level_settings(factor, level):
                part = at.at(level_name(level), dotted) if named else at
                place = (section, factor, index, level_name(level), dotted) if named else (section, factor)
                key = written.location(place)
                try:
                    settings = settings.replaced(tuple(dotted.split(".")), part, key=key)
                except (KeyError, TypeError):
                    raise StudyError(f"{dotted} leads through a setting that has no keys", at=key) from None
    return settings


class _Recipes:
    """`{recipe: NAME, train: …}` stands for the training in `recipes/NAME.yaml`, with what `train` says
    itself on top.
    """

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
                node.data["recipe"], part.location((*place, "recipe"), value=True)
            )
            if own:
                training = training.merged(node.under("train"))
            part = part.replaced((*place, "train"), training, key=part.location((*place, "recipe")))
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
