"""From a YAML file to a study at one scale: overlays are merged, recipes are read, and the task config of
every arm is resolved and checked.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.config import IDENTIFIER_RULE, is_identifier
from harness.errors import InputError, Location, StudyError, did_you_mean
from harness.metrics import declared
from harness.study.arms import Combination
from harness.study.checks.adaptive_design import check_adaptive_design
from harness.study.checks.checker import StudyChecker
from harness.study.checks.labels import check_labels
from harness.study.checks.parity import check_parity
from harness.study.checks.study import (
    check_claims,
    check_side_by_side,
    check_study,
    check_tasks,
    check_trainings,
)
from harness.study.declared_metric import DeclaredMetric
from harness.study.levels import level_name, level_settings
from harness.study.load_search import SearchLoader
from harness.study.loaded import LoadedStudy, Study
from harness.study.program_settings import ProgramSettings, runs_programs
from harness.study.reading.overlays import BODY_SCALE, Layers, part_names, scale_names
from harness.study.reading.validation_errors import study_error
from harness.study.reading.yaml_document import (
    MAX_NODES,
    Document,
    KeyPath,
    Located,
    Override,
    read_document,
)
from harness.study.search import StudySearch
from harness.study.searched import LoadedSearch
from harness.study.shipped import recipe_file, recipe_folders, studies_in
from harness.tasks.base import Task
from harness.tasks.registry import task_class


def load_study(path: Path, scale: str = BODY_SCALE, settings: Sequence[str] = ()) -> tuple[LoadedStudy, ...]:
    """Read and check the study in a file, as `StudyFile.load` does."""
    return StudyFile(path).load(scale, settings)


class StudyFile:
    """The file of a study, which is read once. `scales` are the names of its scales, the one of the body
    first.
    """

    def __init__(self, path: Path) -> None:
        """Raises StudyError if the file cannot be read."""
        self._path = path
        self._document = read_document(path)
        self._recipes = _Recipes(path)
        self._programs = ProgramSettings(path)
        self._loaded: dict[str, tuple[LoadedStudy, ...]] = {}
        self.scales = scale_names(self._document)

    def load(self, scale: str = BODY_SCALE, settings: Sequence[str] = ()) -> tuple[LoadedStudy, ...]:
        """The parts of the study at one scale; a study without parts is its own only part. All scales are
        checked, so that a mistake shows on every machine.

        A part's own keys override the keys that the file gives for all parts. Then come the keys that the
        scale gives for all parts, the keys that it gives for this part, and last `settings`: `path=value`
        with the value in YAML (`design.rounds=20`, or `parts.cost.design.rounds=20` for one part). Raises
        StudyError with file, line, column and a suggestion.
        """
        if scale not in self.scales:
            raise self._document.error(
                ("scales",),
                f"there is no scale {scale!r} in this study",
                hint=did_you_mean(scale, self.scales),
            )
        for name in self.scales:
            if name == scale and settings:
                changed = self._load(name, settings)
            elif name not in self._loaded:
                self._loaded[name] = self._load(name, ())
        chosen = changed if settings else self._loaded[scale]
        check_labels([*chosen, *itertools.chain(*self._loaded.values())], self._document)
        return chosen

    def _load(self, scale: str, settings: Sequence[str]) -> tuple[LoadedStudy, ...]:
        parts = part_names(self._document)
        layers = Layers(self._document, scale, settings)
        loaded: list[LoadedStudy] = []
        claims: set[str] = set()
        for part in parts:
            notes = [f"in part {part}"] if part else []
            notes += [f"at scale {scale}"] if scale != BODY_SCALE else []
            try:
                written = layers.part(part)
                one = self._load_part(written, scale, settings)
                _check_claim_ids(one, claims, written)
            except StudyError as error:
                message = f"{error.message} ({', '.join(notes)})" if notes else error.message
                raise StudyError(message, at=error.at, hint=error.hint, others=error.others) from None
            loaded.append(one)
        _check_one_meaning(loaded, self._document)
        return tuple(loaded)

    def _load_part(self, written: Located, scale: str, settings: Sequence[str]) -> LoadedStudy:
        checker, loaded = self._read_part(written, scale, settings)
        if loaded.study.search is not None:
            with declared(checker.study.records):
                self._search(checker, loaded, loaded.study.search, written)
        return loaded

    def _read_part(
        self, written: Located, scale: str, settings: Sequence[str]
    ) -> tuple[StudyChecker, LoadedStudy]:
        """The part, of which everything but its search was checked."""
        checker = self._checker(written)
        with declared(checker.study.records):
            return checker, self._checked_part(checker, written, scale, settings)

    def _checked_part(
        self, checker: StudyChecker, written: Located, scale: str, settings: Sequence[str]
    ) -> LoadedStudy:
        study = checker.study
        assert isinstance(study, Study)
        check_study(checker)
        tasks = dict(self._tasks(checker, written))
        check_tasks(checker, tasks)
        check_claims(checker, study.claims)
        check_trainings(checker, study.claims, tasks)
        check_parity(checker, tasks, study.claims)
        loaded = LoadedStudy(
            settings=tuple(settings),
            path=self._path,
            source=self._document.text,
            scale=scale,
            study=study,
            arms=checker.arms,
            conditions=checker.conditions,
            tasks=tasks,
            programs=self._programs.files_of(tasks.values()),
        )
        check_adaptive_design(checker, loaded)
        check_side_by_side(checker, loaded)
        return loaded

    def search(
        self,
        part: str = "",
        scale: str = BODY_SCALE,
        settings: Sequence[str] = (),
        over: Sequence[Override] = (),
    ) -> LoadedSearch:
        """The search of the study, or of one of its parts. `over` replaces keys of the study.

        Raises StudyError if the study has no search, or one that could not work.
        """
        self.load(scale, settings)
        parts = part_names(self._document)
        if part not in parts:
            raise InputError(
                f"the study has no part {part!r}" if part else "the study has parts; say which one to search",
                hint=did_you_mean(part, filter(None, parts))
                if part
                else f"use --part with one of {', '.join(parts)}",
            )
        written = Layers(self._document, scale, settings).part(part)
        for override in over:
            written = override.applied(written)
        checker, loaded = self._read_part(written, scale, settings)
        if loaded.study.search is None:
            raise self._document.error(
                (),
                "this study does not say where to search",
                hint="add `search: {space: …}`, or use --space PATH=LOW:HIGH",
            )
        with declared(checker.study.records):
            return self._search(checker, loaded, loaded.study.search, written)

    def _search(
        self, checker: StudyChecker, loaded: LoadedStudy, search: StudySearch, written: Located
    ) -> LoadedSearch:
        def settings_of(arm: Combination, condition: Combination) -> Located:
            return _settings(checker, written, (("across", condition), ("compare", arm)))

        return SearchLoader(
            checker=checker,
            loaded=loaded,
            search=search,
            document=written,
            settings_of=settings_of,
            task_of=lambda settings: self._task(checker, settings),
            load=lambda document: self._load_part(document, loaded.scale, loaded.settings),
        ).read()

    def _checker(self, written: Located) -> StudyChecker:
        """The study in a document, with its task, before anything but its schema was checked."""
        document = self._recipes.filled(written)
        try:
            study = Study.read(document.data)
        except ValidationError as error:
            raise study_error(error, document, Study) from None
        try:
            task = task_class(study.task)
        except InputError as error:
            raise document.error(("task",), error.message, hint=error.hint, value=True) from None
        return StudyChecker(study, document, task)

    def _tasks(self, checker: StudyChecker, written: Located) -> Iterator[tuple[tuple[str, str], Task]]:
        baseline = checker.arms[0].names
        for arm in checker.arms:
            changed = sum(baseline.get(factor) != name for factor, name in arm.names.items())
            for condition in checker.conditions:
                settings = _settings(checker, written, (("across", condition), ("compare", arm)))
                try:
                    yield (arm.name, condition.name), self._task(checker, settings)
                except StudyError as error:
                    if changed < 2:  # otherwise the location does not say which levels do not go together
                        raise
                    hint = "; ".join(filter(None, (error.hint, "`design.exclude` can leave this arm out")))
                    message = f"{error.message} (in arm {arm.name})"
                    raise StudyError(message, at=error.at, hint=hint, others=error.others) from None

    def _task(self, checker: StudyChecker, written: Located) -> Task:
        settings = self._recipes.filled(written)
        if runs_programs(checker.task):
            settings = self._programs.filled(checker.study, settings)
        try:
            task = checker.task.read(settings.data)
        except ValidationError as error:
            raise study_error(error, settings, checker.task) from None
        self._programs.check(task, checker.study, settings)
        return task


def _check_one_meaning(parts: Sequence[LoadedStudy], document: Document) -> None:
    """A report shows all parts of a study, so a name must mean the same metric in all of them."""
    known: dict[str, DeclaredMetric] = {}
    for part in parts:
        for name, declared_metric in part.study.metrics.items():
            if known.setdefault(name, declared_metric) != declared_metric:
                raise document.error(("metrics", name), f"two parts declare {name!r} differently")


def _check_claim_ids(part: LoadedStudy, known: set[str], written: Located) -> None:
    """Each claim belongs to one part. A claim that stands beside `parts` would belong to all of them."""
    for claim in part.study.claims:
        if claim in known:
            raise written.error(
                ("claims", claim), f"two parts have a claim {claim!r}", hint="remove it from one of them"
            )
        known.add(claim)


def _settings(
    checker: StudyChecker, written: Located, combinations: tuple[tuple[str, Combination], ...]
) -> Located:
    """The base settings, overridden by the settings of the levels. Recipes are filled in later, because a
    level may name one.
    """
    settings = written.under("base")
    for section, combination in combinations:
        for factor, index in combination.levels.items():
            listed = written.at(section, factor, index)
            level = getattr(checker.study, section)[factor][index]
            named = isinstance(level, dict)
            for dotted in level_settings(factor, level):
                value = listed.at(level_name(level), dotted) if named else listed
                path = (section, factor, index, level_name(level), dotted) if named else (section, factor)
                try:
                    settings = settings.replaced(tuple(dotted.split(".")), value, key=written.location(path))
                except (KeyError, TypeError):
                    checker.fail(path, f"{dotted} cannot be set: part of this path is not a mapping")
    return settings


MOST_RECIPES = 100
"""How often the text of a study may name a recipe."""


class _Recipes:
    """`{recipe: NAME, train: …}` stands for the training in `recipes/NAME.yaml`, overridden by the settings
    under `train`. `study` is the file of the study.
    """

    def __init__(self, study: Path) -> None:
        self._study = study
        self._documents: dict[str, Document] = {}

    def filled(self, part: Located) -> Located:
        """`part` with the training of every recipe that it names."""
        paths = list(_recipe_paths(part.data, ()))
        if len(paths) > MOST_RECIPES:
            raise part.error((*paths[MOST_RECIPES], "recipe"), f"more than {MOST_RECIPES} recipes are named")
        for path in paths:
            node = part.at(*path)
            overrides = node.data.get("train", {})
            if not isinstance(overrides, dict):
                continue  # validation reports it
            name = (*path, "recipe")
            training: Located = self._training(node.data["recipe"], part.location(name, value=True))
            if overrides:
                training = training.merged(node.under("train"))
            part = part.replaced((*path, "train"), training, key=part.location(name))
            if len(part.values) > 2 * MAX_NODES:
                raise part.error(name, f"with its recipes, the study has more than {2 * MAX_NODES:,} values")
        return part

    def _training(self, name: str, at: Location) -> Document:
        if name not in self._documents:
            if not is_identifier(name):
                raise StudyError(f"{name!r} is not a valid name of a recipe", at=at, hint=IDENTIFIER_RULE)
            file = recipe_file(self._study, name)
            if file is None:
                folders = recipe_folders(self._study)
                raise StudyError(
                    f"there is no recipe {name!r} in {' or '.join(map(str, folders))}",
                    at=at,
                    hint=did_you_mean(name, (known for folder in folders for known in studies_in(folder))),
                )
            self._documents[name] = read_document(file)
        return self._documents[name]


def _recipe_paths(data: Any, path: KeyPath) -> Iterator[KeyPath]:
    if isinstance(data, dict):
        if isinstance(data.get("recipe"), str):
            yield path
        for key, value in data.items():
            yield from _recipe_paths(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _recipe_paths(value, (*path, index))
