"""Reads the search of a study, refuses one that could not work, and makes the tasks of its points and the
study of its proof.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import CycleError
from typing import Any, NoReturn

from harness.config import canonical_json, content
from harness.errors import StudyError
from harness.metrics import METRICS
from harness.study.arms import Combination, named_condition, wanted_levels
from harness.study.checks.checker import StudyChecker
from harness.study.dotted_paths import MISSING, leaves, value_at
from harness.study.levels import Scalar, level_name, level_settings
from harness.study.loaded import LoadedStudy
from harness.study.reading.yaml_document import KeyPath, Located, Override
from harness.study.search import CmaEs, Grid, Hyperband, MedianPruner, StudySearch, WilcoxonPruner
from harness.study.searched import PROOF, SEARCH, LoadedSearch, search_name
from harness.study.space import Point, Space
from harness.tasks.base import Task

FACTOR, BEGIN, BEST = "point", "baseline", "best"
"""The factor of a proof, and its levels. With several objectives the others are `best_1`, `best_2` and so on.
"""

MOST_GRID_POINTS = 100_000

NOT_PROVEN = ("when", "search")
"""Keys of a study that its proof does not have."""


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
        self._check_names()
        self._check_methods()
        for index, point in enumerate(self.search.enqueue):
            self._check_point(("search", "enqueue", index), point)
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
        study = self.loaded.study
        arm: dict[str, Any] = {}
        for factor, index in self._arm.levels.items():
            arm.update(level_settings(factor, study.compare[factor][index]))
        start = self._space.settings(self._start) if self._start is not None else {}
        levels = [{BEGIN: {**arm, **start}}]
        levels += [{name: {**arm, **self._space.settings(point)}} for name, point in points.items()]
        document = self.document
        for key in NOT_PROVEN:
            document = document.without(key)
        for key in ("arms", "exclude", "tune"):
            if "design" in document.data:
                document = document.without("design", key)
        replacements: dict[str, Any] = {
            "study": search_name(study.study, PROOF),
            "question": "Is what the search found better than the arm with which it began, on seeds that the "
            "search did not use?",
            "compare": {FACTOR: levels},
            "across": {
                factor: [study.across[factor][index]] for factor, index in self._condition.levels.items()
            },
            "primary": self.search.objectives(study.primary)[0],
            "claims": dict(self._claims(points)),
        }
        for key, value in replacements.items():
            at = self.document.location(("search", *(("prove",) if key == "claims" else ())))
            document = Override((key,), value, at).applied(document)
        return self.load(document)

    def _claims(self, points: Mapping[str, Point]) -> list[tuple[str, dict[str, Any]]]:
        names = self.search.objectives(self.loaded.study.primary)
        claims = []
        for point in points:
            for name in names:
                which = "the best point of the search" if point == BEST else f"point {point} of the search"
                claims.append(
                    (
                        "-".join(
                            [PROOF, *([point] if point != BEST else []), *([name] if len(names) > 1 else [])]
                        ),
                        {
                            "source": f"the search of {self.loaded.study.study}",
                            "says": f"{METRICS[name].label} of {which} is better than before.",
                            "level": {FACTOR: point},
                            "metric": name,
                            **(self.search.prove or {"direction": "better"}),
                        },
                    )
                )
        return claims

    # What is refused.

    def _fail(self, path: KeyPath, message: str, *, hint: str | None = None, value: bool = False) -> NoReturn:
        self.checker.fail(("search", *path), message, hint=hint, value=value)

    def _check_names(self) -> None:
        study, search = self.loaded.study, self.search
        at = ("objective",) if search.objective is not None else ()
        objectives = search.objectives(study.primary)
        for name in objectives:
            self.checker.check_metric(("search", *at), name)
        if len(set(objectives)) < len(objectives):
            self._fail(at, "an objective is listed twice", value=True)
        if FACTOR in study.across:
            self._fail(
                (), f"the proof of a search needs the name {FACTOR!r} for itself, so no factor can have it"
            )
        for name, parameter in search.space.items():
            for other, asked in (parameter.when or {}).items():
                path = ("search", "space", name, "when", other)
                known = [known for known in search.space if known != name]
                self.checker.check_known(path, other, known, "the space has no parameter", value=False)
                choices = search.space[other].choices
                if choices is None:
                    self.checker.fail(
                        path, f"{other} is a range, so {name} cannot depend on one of its values"
                    )
                if asked == []:
                    self.checker.fail(path, f"no choice of {other} is listed", hint="list at least one")
                for level in wanted_levels(asked):
                    self.checker.check_known(path, level, map(level_name, choices), f"{other} has no choice")

    def _check_methods(self) -> None:
        search, space = self.search, self._space
        objectives = search.objectives(self.loaded.study.primary)
        kinds = space.kinds
        at = ("sampler", "kind")
        if isinstance(search.sampler, Grid):
            for name in kinds:
                if space.values(name) is None:
                    self._fail(("space", name), f"a grid needs a `step` for {name}, which has endless values")
            if space.size() > MOST_GRID_POINTS:
                self._fail(
                    at,
                    f"a grid of {space.size():,.0f} points is too large; it can have {MOST_GRID_POINTS:,}",
                    hint="use larger steps, or another sampler",
                    value=True,
                )
        if isinstance(search.sampler, CmaEs):
            if len(objectives) > 1:
                self._fail(at, "cma-es has one objective", hint="use tpe, nsga-ii or gp", value=True)
            if sum(kind != "choice" for kind in kinds.values()) < 2:
                self._fail(
                    at,
                    "cma-es needs at least two parameters that are numbers",
                    hint="use tpe, or gp",
                    value=True,
                )
        conditional = next((name for name, one in search.space.items() if one.when), None)
        if isinstance(search.sampler, CmaEs) and conditional is not None:
            self._fail(
                at,
                f"cma-es needs parameters that always exist, and {conditional} does not",
                hint="use tpe",
                value=True,
            )
        if search.pruner is not None:
            self._check_pruner(objectives)

    def _check_pruner(self, objectives: tuple[str, ...]) -> None:
        pruner, at = self.search.pruner, ("pruner", "kind")
        if len(objectives) > 1:
            self._fail(
                ("pruner",), "a search with several objectives cannot prune", hint="leave the pruner out"
            )
        if isinstance(pruner, WilcoxonPruner):
            least = max(pruner.startup, math.ceil(-math.log2(pruner.p)))
            if self.search.seeds <= least:
                self._fail(
                    at,
                    f"with p {pruner.p:g} the wilcoxon pruner needs more than {least} seeds, and this search "
                    f"has {self.search.seeds}",
                    hint=f"use `seeds: {least + 2}`",
                    value=True,
                )
        elif isinstance(pruner, MedianPruner | Hyperband):
            if self.search.seeds > 1:
                self._fail(
                    at,
                    f"the {pruner.kind} pruner looks at the course of one training, and each point has "
                    f"{self.search.seeds}",
                    hint="use `seeds: 1`, or the wilcoxon pruner",
                    value=True,
                )
            if len(self._begin.recorded_steps(objectives[0])) < 2:
                self._fail(
                    at,
                    f"a trial records {objectives[0]} only at its end, so there is nothing to prune by",
                    hint="evaluate more often, or leave the pruner out",
                    value=True,
                )

    def _check_point(self, path: KeyPath, point: Point) -> None:
        for name, value in point.items():
            inner = (*path, name)
            self.checker.check_known(
                inner, name, self._space.parameters, "the space has no parameter", value=False
            )
            if not self._space.exists(name, point):
                self.checker.fail(inner, f"{name} does not exist at this point", hint="see its `when`")
            if not self._space.contains(name, value):
                self.checker.fail(inner, f"{value!r} is not a value of {name} in this space", value=True)
        missing = [
            name for name in self._space.parameters if name not in point and self._space.exists(name, point)
        ]
        if missing:
            self.checker.fail(
                path, f"this point has no {missing[0]}", hint="a point needs a value for each parameter"
            )

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
