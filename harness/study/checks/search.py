"""The checks of a search: names must exist, and its methods must fit the space and the objectives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NoReturn

from harness.study.arms import wanted_levels
from harness.study.checks.checker import StudyChecker
from harness.study.levels import level_name
from harness.study.proof_study import FACTOR
from harness.study.reading.yaml_document import KeyPath
from harness.study.search import (
    CmaEs,
    Grid,
    Hyperband,
    MedianPruner,
    Parameter,
    StudySearch,
    WilcoxonPruner,
)
from harness.study.space import MOST_CHECKED, Point, Space
from harness.study.tune import Near
from harness.tasks.base import Task

MOST_GRID_POINTS = 100_000
MOST_PARAMETERS = 50


def check_size(checker: StudyChecker, path: KeyPath, space: Mapping[str, Parameter | Near]) -> None:
    """Raises StudyError if the space has more choices than can be tried before anything runs."""
    choices = sum(len(getattr(parameter, "choices", None) or ()) for parameter in space.values())
    if choices > MOST_CHECKED:
        checker.fail(path, f"the space has {choices:,} choices, and at most {MOST_CHECKED} are allowed")
    if len(space) > MOST_PARAMETERS:
        checker.fail(path, f"the space has more than {MOST_PARAMETERS} parameters")


def check_names(checker: StudyChecker, search: StudySearch) -> None:
    """Raises StudyError if an objective, or a parameter on which another one depends, is wrong."""
    study = checker.study
    check_size(checker, ("search", "space"), search.space)
    at = ("objective",) if search.objective is not None else ()
    objectives = search.objectives(study.primary)
    for name in objectives:
        checker.check_metric(("search", *at), name)
    if len(set(objectives)) < len(objectives):
        _fail(checker, at, "an objective is listed twice", value=True)
    if FACTOR in study.across:
        _fail(
            checker,
            (),
            f"the proof of a search needs the name {FACTOR!r} for itself, so no factor can have it",
        )
    for name, parameter in search.space.items():
        for other, asked in (parameter.when or {}).items():
            path = ("search", "space", name, "when", other)
            known = [known for known in search.space if known != name]
            checker.check_known(path, other, known, "the space has no parameter", value=False)
            choices = search.space[other].choices
            if choices is None:
                checker.fail(path, f"{other} is a range, so {name} cannot depend on one of its values")
            if asked == []:
                checker.fail(path, f"no choice of {other} is listed", hint="list at least one")
            for level in wanted_levels(asked):
                checker.check_known(path, level, map(level_name, choices), f"{other} has no choice")


def check_methods(checker: StudyChecker, search: StudySearch, space: Space, begin: Task) -> None:
    """Raises StudyError if the sampler or the pruner cannot be used for this space and these objectives.
    `begin` is the task with which the search begins.
    """
    objectives = search.objectives(checker.study.primary)
    kinds = space.kinds
    at = ("sampler", "kind")
    if isinstance(search.sampler, Grid):
        for name in kinds:
            if space.values(name) is None:
                _fail(checker, ("space", name), f"a grid needs a `step` for {name}, which has endless values")
        if space.size() > MOST_GRID_POINTS:
            _fail(
                checker,
                at,
                f"a grid of {space.size():,.0f} points is too large; it can have {MOST_GRID_POINTS:,}",
                hint="use larger steps, or another sampler",
                value=True,
            )
    if isinstance(search.sampler, CmaEs):
        if len(objectives) > 1:
            _fail(checker, at, "cma-es has one objective", hint="use tpe, nsga-ii or gp", value=True)
        if sum(kind != "choice" for kind in kinds.values()) < 2:
            _fail(
                checker,
                at,
                "cma-es needs at least two parameters that are numbers",
                hint="use tpe, or gp",
                value=True,
            )
    conditional = next((name for name, one in search.space.items() if one.when), None)
    if isinstance(search.sampler, CmaEs) and conditional is not None:
        _fail(
            checker,
            at,
            f"cma-es needs parameters that always exist, and {conditional} does not",
            hint="use tpe",
            value=True,
        )
    if search.pruner is not None:
        _check_pruner(checker, search, begin)


def _check_pruner(checker: StudyChecker, search: StudySearch, begin: Task) -> None:
    pruner, at = search.pruner, ("pruner", "kind")
    objectives = search.objectives(checker.study.primary)
    if len(objectives) > 1:
        _fail(
            checker, ("pruner",), "a search with several objectives cannot prune", hint="leave the pruner out"
        )
    if isinstance(pruner, WilcoxonPruner):
        least = max(pruner.startup, math.ceil(-math.log2(pruner.p)))
        if search.seeds <= least:
            _fail(
                checker,
                at,
                f"with p {pruner.p:g} the wilcoxon pruner needs more than {least} seeds, and this search "
                f"has {search.seeds}",
                hint=f"use `seeds: {least + 2}`",
                value=True,
            )
    elif isinstance(pruner, MedianPruner | Hyperband):
        if search.seeds > 1:
            _fail(
                checker,
                at,
                f"the {pruner.kind} pruner looks at the course of one training, and each point has "
                f"{search.seeds}",
                hint="use `seeds: 1`, or the wilcoxon pruner",
                value=True,
            )
        if len(begin.recorded_steps(objectives[0])) < 2:
            _fail(
                checker,
                at,
                f"a trial records {objectives[0]} only at its end, so there is nothing to prune by",
                hint="evaluate more often, or leave the pruner out",
                value=True,
            )


def check_point(checker: StudyChecker, space: Space, path: KeyPath, point: Point) -> None:
    """Raises StudyError unless the point at `path` is one of the space."""
    for name, value in point.items():
        inner = (*path, name)
        checker.check_known(inner, name, space.parameters, "the space has no parameter", value=False)
        if not space.exists(name, point):
            checker.fail(inner, f"{name} does not exist at this point", hint="see its `when`")
        if not space.contains(name, value):
            checker.fail(inner, f"{value!r} is not a value of {name} in this space", value=True)
    missing = [name for name in space.parameters if name not in point and space.exists(name, point)]
    if missing:
        checker.fail(path, f"this point has no {missing[0]}", hint="a point needs a value for each parameter")


def _fail(
    checker: StudyChecker, path: KeyPath, message: str, *, hint: str | None = None, value: bool = False
) -> NoReturn:
    checker.fail(("search", *path), message, hint=hint, value=value)
