"""What must be so for a design that leaves something open: rounds that may end early, settings that are
tuned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import InputError, StudyError, did_you_mean
from harness.metrics import metric
from harness.study.claim import ReachesClaim
from harness.study.planning.finalists import kept_arms
from harness.study.planning.tuning import tuning_grid
from harness.study.reading.yaml_document import Located
from harness.study.schema import Tune

if TYPE_CHECKING:
    from harness.study.load import LoadedStudy
    from harness.tasks.base import Task


def check_open_design(loaded: LoadedStudy, whole: Located, task: type[Task]) -> None:
    """Raises StudyError at the first thing that could not work, before anything is run."""
    design, primary = loaded.study.design, loaded.study.primary
    paired_over = metric(primary).paired_over
    if design.until is not None and paired_over != "rounds":
        raise StudyError(
            f"every round of a seed repeats its {primary}, so more rounds make no interval narrower",
            at=whole.place(("design", "until")),
            hint=f"use more {paired_over}",
        )
    for name, claim in loaded.study.claims.items():
        by = design.tune.by if design.tune else None
        if isinstance(claim, ReachesClaim) and claim.reaches == "tuned" and claim.metric != by:
            went = f"goes by {by}" if by else "is not part of this design"
            raise StudyError(
                f"{name} takes its target of {claim.metric} from tuning, which {went}",
                at=whole.place(("claims", name, "reaches"), of_value=True),
                hint="`metric:` and `design.tune.by` must be the same",
            )
    if design.tune is not None:
        _check_metric(design.tune, whole, task)
        _check_grid(loaded, design.tune, whole)
        _check_finalists(loaded, design.tune, whole)


def _check_metric(tune: Tune, whole: Located, task: type[Task]) -> None:
    at = whole.place(("design", "tune", "by"), of_value=True)
    if tune.by not in task.metrics:
        hint = did_you_mean(tune.by, task.metrics)
        raise StudyError(f"task {task.name!r} produces no metric {tune.by!r}", at=at, hint=hint)
    if metric(tune.by).better == "neither":
        raise StudyError(f"neither more nor less of {tune.by} is better, so nothing is tuned by it", at=at)


def _check_grid(loaded: LoadedStudy, tune: Tune, whole: Located) -> None:
    at = whole.place(("design", "tune", "grid"))
    for path in tune.grid:
        if any(path == factor for factor in (*loaded.study.compare, *loaded.study.across)):
            raise StudyError(
                f"{path} is a factor of the study, so it cannot be tuned",
                at=whole.place(("design", "tune", "grid", path)),
            )
    for arm in loaded.arms:
        for condition in loaded.conditions:
            own = loaded.tasks[arm.name, condition.name]
            try:
                grid = tuning_grid(tune, own)
            except InputError as error:
                raise StudyError(f"arm {arm.name}: {error.message}", at=at, hint=error.hint) from None
            if any(candidate.task.trainings() != own.trainings() for candidate in grid):
                raise StudyError(
                    f"arm {arm.name}: a setting of the model's training cannot be tuned here",
                    at=at,
                    hint="tune it in a study of task train",
                )


def _check_finalists(loaded: LoadedStudy, tune: Tune, whole: Located) -> None:
    if tune.finalists is None:
        return
    at = whole.place(("design", "tune", "finalists"), of_value=True)
    kept = len(kept_arms(loaded))
    if len(loaded.conditions) > 1:
        raise StudyError("finalists are chosen under one condition, and this study has several", at=at)
    if kept > tune.finalists:
        raise StudyError(f"the baseline and the arms that claims name are {kept} already", at=at)
    if tune.finalists >= len(loaded.arms):
        raise StudyError(f"all {len(loaded.arms)} arms would go on", at=at, hint="leave finalists out")
