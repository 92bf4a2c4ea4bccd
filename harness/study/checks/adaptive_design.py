"""The checks of a design that adapts to results: rounds that may end early, and settings that are tuned."""

from __future__ import annotations

from harness.errors import InputError
from harness.metrics import metric
from harness.study.arms import MOST_TASKS
from harness.study.checks.checker import StudyChecker
from harness.study.checks.parity import check_candidate
from harness.study.checks.search import check_size
from harness.study.loaded import LoadedStudy
from harness.study.planning.tuning import extreme_candidates, required_arms
from harness.study.reading.yaml_document import KeyPath
from harness.study.tune import Tune

MOST_CANDIDATES = 1000
"""Candidates of an arm in a grid, as many as a search may have points."""


def check_adaptive_design(checker: StudyChecker, loaded: LoadedStudy) -> None:
    """Raises StudyError if the design could not work."""
    design, primary = loaded.study.design, loaded.study.primary
    paired_over = metric(primary).paired_over
    if design.until is not None and paired_over != "rounds":
        checker.fail(
            ("design", "until"),
            f"every round of a seed gives the same {primary}, so more rounds cannot make an interval "
            "narrower",
            hint=f"use more {paired_over}",
        )
    if design.tune is not None:
        _check_metric(checker, design.tune)
        _check_candidates(checker, loaded, design.tune)
        _check_finalists(checker, loaded, design.tune)


def _check_metric(checker: StudyChecker, tune: Tune) -> None:
    path = ("design", "tune", "by")
    if checker.check_metric(path, tune.by, directed=False).better == "neither":
        checker.fail(
            path,
            f"neither higher nor lower values of {tune.by} are better, so it cannot be used for tuning",
            value=True,
        )


def _check_candidates(checker: StudyChecker, loaded: LoadedStudy, tune: Tune) -> None:
    path: KeyPath = ("design", "tune", "grid") if tune.grid else ("design", "tune", "search", "space")
    for setting in tune.settings:
        if setting in loaded.study.compare or setting in loaded.study.across:
            checker.fail((*path, setting), f"{setting} is a factor of the study, so it cannot be tuned")
    _check_size(checker, loaded, tune, path)
    for arm in loaded.arms:
        for condition in loaded.conditions:
            task = loaded.tasks[arm.name, condition.name]
            try:
                tried = extreme_candidates(tune, task)
            except InputError as error:
                checker.fail(path, f"arm {arm.name}: {error.message}", hint=error.hint)
            for candidate in tried:
                check_candidate(checker, task, candidate.task, path)
            if any(candidate.task.trainings() != task.trainings() for candidate in tried):
                checker.fail(
                    path,
                    f"arm {arm.name}: a setting of the model's training cannot be tuned here",
                    hint="tune it in a study whose task is train",
                )


def _check_size(checker: StudyChecker, loaded: LoadedStudy, tune: Tune, path: KeyPath) -> None:
    """Every candidate of a grid is tried before anything runs, and every choice of a space."""
    if tune.search is not None:
        check_size(checker, path, tune.search.space)
    if tune.grid_size > MOST_CANDIDATES:
        checker.fail(path, f"the grid has {tune.grid_size:,} candidates, more than {MOST_CANDIDATES:,}")
    if tune.grid_size * len(loaded.tasks) > MOST_TASKS:
        checker.fail(
            path,
            f"{tune.grid_size:,} candidates for each of {len(loaded.tasks):,} arms and conditions are more "
            f"than {MOST_TASKS:,}",
            hint="tune fewer values, or by `search`",
        )


def _check_finalists(checker: StudyChecker, loaded: LoadedStudy, tune: Tune) -> None:
    if tune.finalists is None:
        return
    path, named = ("design", "tune", "finalists"), len(required_arms(loaded))
    if len(loaded.conditions) > 1:
        checker.fail(
            path,
            f"finalists need a study with one condition, and this study has {len(loaded.conditions)}",
            value=True,
        )
    if named > tune.finalists:
        checker.fail(
            path,
            f"the baseline and the arms that claims name are already {named} arms",
            hint="allow more finalists",
            value=True,
        )
    if tune.finalists >= len(loaded.arms):
        checker.fail(
            path,
            f"all {len(loaded.arms)} arms would be finalists",
            hint="remove `finalists`",
            value=True,
        )
