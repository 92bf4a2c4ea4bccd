"""The tasks of a study's arms as they were before tuning, from what its run stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from harness.errors import InputError
from harness.study.arms import Combination
from harness.study.planning.tuning import tuning_grid
from harness.study.schema import Around, Tune, level_settings
from harness.study.study import Study
from harness.tasks.registry import task_class

if TYPE_CHECKING:
    from harness.study.schema import Scalar
    from harness.tasks.base import Task
    from harness.trial.spec import TrialSpec

_MISSING = object()


def untuned_task(
    study: Study, tune: Tune, chosen: tuple[Combination, Combination], tried: Iterable[TrialSpec]
) -> Task:
    """Of an arm under a condition, from the trials that tuned it, in the order of the grid.

    Whatever is not tuned is as in those trials. What is tuned is as the study says, or, where that leaves it
    to a default, in the middle of what was tried: such that the same values come out again.
    """
    configs = [spec.config for spec in tried]
    written = _written(study, chosen)
    document = configs[0]
    for path, wanted in tune.grid.items():
        keys = path.split(".")
        values = list(dict.fromkeys(_leaf(config, keys) for config in configs))
        middle = _middle(wanted, values) if isinstance(wanted, Around) else values[0]
        own = next(
            (
                each
                for each in (_leaf(written, keys), middle)
                if _gives(study, path, wanted, (document, each), values)
            ),
            middle,
        )
        document = _with(document, keys, own)
    return task_class(study.task).read(document)


def _gives(
    study: Study,
    path: str,
    wanted: Around | list[Scalar],
    own: tuple[Mapping[str, Any], Any],
    values: list[Any],
) -> bool:
    """Whether a task with this value of its own is tried with those values."""
    document, value = own
    if value is _MISSING:
        return False
    keys = path.split(".")
    try:
        task = task_class(study.task).read(_with(document, keys, value))
        grid = tuning_grid(Tune(grid={path: wanted}), task)
    except (InputError, ValueError):
        return False
    return [_leaf(each.task.plain(), keys) for each in grid] == values


def _middle(wanted: Around, values: list[Any]) -> Any:
    """Of values that are each `factor` times the one before; of an even number of them it is not among them."""
    place = (len(values) - 1) // 2
    if len(values) % 2:
        return values[place]
    middle = float(f"{values[place] * wanted.factor**0.5:.6g}")
    return round(middle) if isinstance(values[place], int) else middle


def _written(study: Study, chosen: tuple[Combination, Combination]) -> dict[str, Any]:
    """The settings as the study writes them for an arm and a condition; a recipe that a level names is not
    filled in.
    """
    arm, condition = chosen
    document = dict(study.base)
    for path, value in (*_levels(study.across, condition), *_levels(study.compare, arm)):
        document = _with(document, path.split("."), value)
    return document


def _levels(factors: Mapping[str, list[Any]], chosen: Combination) -> Iterator[tuple[str, Any]]:
    for factor, index in chosen.levels.items():
        yield from level_settings(factor, factors[factor][index]).items()


def _leaf(document: Any, keys: list[str]) -> Any:
    for key in keys:
        if not isinstance(document, dict) or key not in document:
            return _MISSING
        document = document[key]
    return document


def _with(document: Any, keys: list[str], value: Any) -> dict[str, Any]:
    known = document if isinstance(document, dict) else {}
    return {**known, keys[0]: value if len(keys) == 1 else _with(known.get(keys[0]), keys[1:], value)}
