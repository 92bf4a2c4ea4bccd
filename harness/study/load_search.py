"""Reads the search of a study: the arm with which it begins, its space, and the tasks of its points. A search
that could not work is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import CycleError
from typing import NoReturn

from harness.config import canonical_json, content
from harness.errors import StudyError
from harness.study.arms import Combination, named_condition
from harness.study.checks.checker import StudyChecker
from harness.study.checks.search import check_methods, check_names, check_point
from harness.study.dotted_paths import MISSING, leaves, value_at
from harness.study.levels import Scalar, level_name
from harness.study.loaded import LoadedStudy
from harness.study.proof_study import BEST, ProofStudy
from harness.study.reading.yaml_document import KeyPath, Located, Override
from harness.study.search import StudySearch
from harness.study.searched import SEARCH, LoadedSearch, search_name
from harness.study.space import Point, Space
from harness.tasks.base import Task


@dataclass(frozen=True)
class SearchLoader:
    """`document` is the part of the study as it was written, without the contents of recipes. `settings_of`
    gives the settings of an arm under a condition, `task_of` the task of settings, and `load` a study.
    """

    checker: StudyChecker
    loaded: LoadedStudy
    search: StudySearch
    document: Located
    settings_of: Callable[[Combination, Combination], Located]
    task_of: Callable[[Located], Task]
    load: Callable[[Located], LoadedStudy]

    def read(self) -> LoadedSearch:
        """The search. Raises StudyError, with the place in the file, if it could not work."""
        check_names(self.checker, self.search)
        check_methods(self.checker, self.search, self._space, self._begin)
        for index, point in enumerate(self.search.enqueue):
            check_point(self.checker, self._space, ("search", "enqueue", index), point)
        tasks = self._checked_tasks()
        return LoadedSearch(
            loaded=self._recorded(tasks),
            search=self.search,
            space=self._space,
            arm=self._arm,
            condition=self._condition,
            begin=self._begin,
            start=self._start,
            task_of=self._task,
            proof_of=self._proof,
        )

    # What the search begins with.

    @cached_property
    def _arm(self) -> Combination:
        if not self.search.arm:
            return self.checker.arms[0]
        return self.checker.arm(("search", "arm"), self.search.arm)

    @cached_property
    def _condition(self) -> Combination:
        self.checker.check_condition(("search",), self.search.at)
        return named_condition(self.checker.conditions, self.search.at)

    @cached_property
    def _begin(self) -> Task:
        return self.loaded.tasks[self._arm.name, self._condition.name]

    @cached_property
    def _space(self) -> Space:
        try:
            return Space.around(self.search.space, self._begin)
        except CycleError as error:
            chain = " → ".join(repr(name) for name in reversed(error.args[1]))
            self._fail(("space",), f"parameters depend on each other in a circle: {chain}")

    @cached_property
    def _start(self) -> Point | None:
        """The arm with which the search begins as a point. None if the space does not contain it."""
        document, point = self._begin.plain(), dict[str, Scalar]()
        for name, parameter in self._space.parameters.items():
            if not self._space.exists(name, point):
                continue
            present = value_at(document, name)
            for choice in parameter.choices or ():
                if isinstance(choice, dict) and self._is_present(name, level_name(choice)):
                    present = level_name(choice)
            if not self._space.contains(name, present):
                return None
            point[name] = present
        return point if content(self._task(point)) == content(self._begin) else None

    def _is_present(self, name: str, choice: str) -> bool:
        """Whether the group of settings of a choice changes nothing but what other parameters set."""
        try:
            chosen = dict(leaves(self._task({name: choice}).plain()))
        except StudyError:
            return False
        present = dict(leaves(self._begin.plain()))
        return all(
            chosen.get(path, MISSING) == present.get(path, MISSING)
            for path in chosen.keys() | present.keys()
            if path not in self._space.parameters
        )

    def _recorded(self, others: Sequence[Task]) -> LoadedStudy:
        """The study that is recorded with the points, with the tasks of the arm and of some points. It has no
        claims, because none is about its points.
        """
        name = search_name(self.loaded.study.study, SEARCH)
        search = self.search.model_copy(update={"space": self._space.parameters})
        study = self.loaded.study.model_copy(update={"study": name, "claims": {}, "search": search})
        tasks = {(f"point {index}", self._condition.name): task for index, task in enumerate(others)}
        return replace(
            self.loaded,
            study=study,
            arms=(self._arm,),
            conditions=(self._condition,),
            tasks={(self._arm.name, self._condition.name): self._begin, **tasks},
        )

    # What its points are.

    def _task(self, point: Point) -> Task:
        settings = self.settings_of(self._arm, self._condition)
        for path, value in self._space.settings(point).items():
            at = self.document.location(("search", "space", path))
            settings = Override(tuple(path.split(".")), value, at).applied(settings)
        return self.task_of(settings)

    def _proof(self, points: Mapping[str, Point]) -> LoadedStudy:
        """The study that compares these points with the arm with which the search began."""
        return self.load(self._proof_study.document(self.document, points))

    @cached_property
    def _proof_study(self) -> ProofStudy:
        return ProofStudy(
            study=self.loaded.study,
            search=self.search,
            space=self._space,
            arm=self._arm,
            condition=self._condition,
            start=self._start,
        )

    # What is refused.

    def _fail(self, path: KeyPath, message: str, *, hint: str | None = None, value: bool = False) -> NoReturn:
        self.checker.fail(("search", *path), message, hint=hint, value=value)

    def _checked_tasks(self) -> list[Task]:
        """The tasks of some points of the space, without that of the arm with which the search begins.

        Raises StudyError at a parameter with which an arm could not run, or not be compared fairly.
        """
        points = [(self._path(point), point) for point in self._space.checked_points(self._start or {})]
        points += [(("enqueue", index), point) for index, point in enumerate(self.search.enqueue)]
        seen: dict[str, tuple[KeyPath, Point, Task]] = {}
        for path, point in points:
            try:
                task = self._task(point)
            except StudyError as error:
                raise self._with_point(error, path, point) from None
            seen.setdefault(canonical_json(content(task)), (path, point, task))
        seen.pop(canonical_json(content(self._begin)), None)
        if not seen:
            self._fail(("space",), "every point of this space is the arm with which the search begins")
        for path, tried, _ in seen.values():
            try:
                self._proof({BEST: tried})
            except StudyError as error:
                about_point = error.at == self.document.location(("search",))
                raise (self._with_point(error, path, tried) if about_point else error) from None
        if len(self.search.objectives(self.loaded.study.primary)) > 1:
            self._check_finalists()
        return [task for _, _, task in seen.values()]

    def _path(self, point: Point) -> KeyPath:
        """The parameter by which a point differs from the arm with which the search begins, if it is one."""
        start = self._start or {}
        changed = [name for name, value in point.items() if value != start.get(name)]
        return ("space", changed[0]) if len(changed) == 1 else ("space",)

    def _with_point(self, error: StudyError, path: KeyPath, point: Point) -> StudyError:
        """The error with the point that led to it, at the place where the study asks for it, if that is one
        place.
        """
        settings = ", ".join(f"{name}={value}" for name, value in self._space.names(point).items())
        nowhere = error.at == self.document.location(("search",))
        at = self.document.location(("search", *path)) if nowhere or path != ("space",) else error.at
        return StudyError(f"{error.message} (with {settings})", at=at, hint=error.hint)

    def _check_finalists(self) -> None:
        """Raises StudyError if the design could not decide about as many points as may be proven."""
        count = self.search.finalists
        distinct: dict[str, Point] = {}
        positions = [(position + 1) / (count + 1) for position in range(count)]
        points = [
            *(self._space.point_at(position, self._start or {}) for position in positions),
            *self._space.checked_points(self._start or {}),
        ]
        for candidate in points:
            with contextlib.suppress(StudyError):  # not all settings go together
                distinct.setdefault(canonical_json(content(self._task(candidate))), candidate)
        distinct.pop(canonical_json(content(self._begin)), None)
        names = [f"{BEST}_{position}" for position in range(1, count + 1)]
        self._proof(dict(zip(names, distinct.values(), strict=False)))
