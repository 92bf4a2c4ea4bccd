"""The tasks of a study's arms before tuning, restored from what the run stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from harness.errors import InputError
from harness.study.arms import Combination
from harness.study.dotted_paths import MISSING, value_at, with_value
from harness.study.loaded import Study
from harness.study.planning.tuning import tuning_grid
from harness.study.schema import Around, Tune, level_settings
from harness.tasks.registry import task_class

if TYPE_CHECKING:
    from harness.study.schema import Scalar
    from harness.tasks.base import Task
    from harness.trial.spec import TrialSpec


def untuned_task(
    study: Study, tune: Tune, arm: Combination, condition: Combination, tried: Iterable[TrialSpec]
) -> Task:
    """The task of an arm under a condition before tuning. `tried` are the trials that tuned it, in the order
    of the grid.

    Every setting that was not tuned has the value of these trials. A tuned setting has the value that the
    study declares, if the tuned values follow from it, or else the middle of the tuned values.
    """
    configs = [spec.config for spec in tried]
    document, declared = configs[0], _declared_settings(study, arm, condition)
    for path, grid in tune.grid.items():
        values = list(dict.fromkeys(value_at(config, path) for config in configs))
        middle = _middle(grid, values) if isinstance(grid, Around) else values[0]
        document = with_value(document, path, middle)
        if value_at(declared, path) is not MISSING:
            alternative = with_value(document, path, value_at(declared, path))
            if _grid_values(study, path, grid, alternative) == values:
                document = alternative
    return task_class(study.task).read(document)


def _grid_values(
    study: Study, path: str, grid: Around | list[Scalar], document: Mapping[str, Any]
) -> list[Any] | None:
    """The values of a setting with which this task would be tuned. None if it cannot be tuned."""
    try:
        task = task_class(study.task).read(document)
        candidates = tuning_grid(Tune(grid={path: grid}), task)
    except (InputError, ValueError):
        return None
    return [value_at(candidate.task.plain(), path) for candidate in candidates]


def _middle(grid: Around, values: list[Any]) -> Any:
    """The middle of values that grow by `factor`. Of an even number of values it lies between two of them."""
    lower = values[(len(values) - 1) // 2]
    if len(values) % 2:
        return lower
    middle = float(f"{lower * grid.factor**0.5:.6g}")
    return round(middle) if isinstance(lower, int) else middle


def _declared_settings(study: Study, arm: Combination, condition: Combination) -> dict[str, Any]:
    """The settings that the study declares for an arm under a condition. Recipes are not filled in."""
    document = dict(study.base)
    for path, value in (*_levels(study.across, condition), *_levels(study.compare, arm)):
        document = with_value(document, path, value)
    return document


def _levels(factors: Mapping[str, list[Any]], combination: Combination) -> Iterator[tuple[str, Any]]:
    for factor, index in combination.levels.items():
        yield from level_settings(factor, factors[factor][index]).items()
