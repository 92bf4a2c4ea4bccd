"""The studies of the runs of a report as they were when the report was made, even if their file has
changed: also the tasks that their arms had before tuning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness.config import canonical_json
from harness.errors import HarnessError, InputError
from harness.metrics import Metric
from harness.store.rows import Run
from harness.store.store import Store
from harness.study.arms import Combination, arms, conditions
from harness.study.dotted_paths import MISSING, value_at, with_value
from harness.study.levels import Scalar, level_settings
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy, Study
from harness.study.planning.tuning import tuning_grid
from harness.study.tune import Around, Tune
from harness.tasks.base import Task
from harness.tasks.registry import task_class
from harness.trial.spec import TrialSpec


@dataclass(frozen=True, kw_only=True)
class RestoredStudies:
    """One study per run.

    `command_problem` says what the command in the report would run instead. It is None if the command is
    right or cannot be checked.
    """

    parts: tuple[LoadedStudy, ...]
    command_problem: str | None
    notes: tuple[str, ...]


def as_judged(store: Store, run: Run, key: str | None) -> Run:
    """The run with the study by which a report judged it: `key` is the digest of its text. It is the study
    with which the run began if the report names none, or one that the store does not have.
    """
    judged = store.study(key) if key else None
    return run if judged is None else replace(run, study_source=judged[0], study_json=judged[1])


def declared_by(runs: Iterable[Run]) -> dict[str, Metric]:
    """The records of the metrics that the studies of these runs declare."""
    studies = [Study.model_validate_json(run.study_json) for run in runs]
    return {name: record for study in studies for name, record in study.records.items()}


def study_and_settings(words: Sequence[str]) -> tuple[Path, tuple[str, ...]]:
    """The file of the study and the settings, from the words of the command that repeats the run."""
    path = Path(words[2]) if len(words) > 2 else Path()
    return path, tuple(word for flag, word in pairwise(words) if flag == "--set")


def restore_studies(
    store: Store, runs: Sequence[Run], path: Path, settings: tuple[str, ...]
) -> RestoredStudies:
    """The studies of the runs. They are loaded from their file, with the settings of the command in the
    report, if the file has not changed; else they are restored from the store.
    """
    restored = tuple(restore(store, run, path, settings) for run in runs)
    if not is_unchanged(path, runs[0]):
        return changed_file(restored, path)
    try:
        by_name = {part.study.study: part for part in load_study(path, runs[0].scale, settings)}
    except HarnessError as error:
        return RestoredStudies(parts=restored, command_problem=str(error), notes=())
    loaded = tuple(by_name[run.study] for run in runs if run.study in by_name)
    if len(loaded) < len(runs):
        missing = next(run.study for run in runs if run.study not in by_name)
        return RestoredStudies(parts=restored, command_problem=f"a study without {missing}", notes=())
    if any(before.tasks != now.tasks for before, now in zip(restored, loaded, strict=True) if now.programs):
        note = "the files of the program have changed, so the command would measure another program"
        return RestoredStudies(parts=restored, command_problem=None, notes=(note,))
    if [part.study for part in loaded] == [part.study for part in restored]:
        return RestoredStudies(parts=loaded, command_problem=None, notes=())
    return RestoredStudies(
        parts=restored, command_problem="a study that differs from the one that was run", notes=()
    )


def is_unchanged(path: Path, run: Run) -> bool:
    """Whether the file of the study is still as it was recorded with the run."""
    try:
        return path.read_text(encoding="utf-8") == run.study_source
    except (OSError, UnicodeDecodeError):
        return False


def changed_file(restored: tuple[LoadedStudy, ...], path: Path) -> RestoredStudies:
    """The studies as they were restored, where the command cannot be checked."""
    note = f"{path} is missing or has changed, so the settings of the command could not be checked"
    return RestoredStudies(parts=restored, command_problem=None, notes=(note,))


def restore(store: Store, run: Run, path: Path, settings: tuple[str, ...]) -> LoadedStudy:
    """The study as it was loaded for the run: all arms, with the settings that they had before tuning."""
    study = Study.model_validate_json(run.study_json)
    all_arms, all_conditions, tune = arms(study), conditions(study), study.design.tune
    names = {canonical_json(condition.names): condition.name for condition in all_conditions}
    planned: dict[tuple[str, str], list[TrialSpec]] = {}
    for text in store.planned_specs(run, "measure" if tune is None else "tune"):
        spec = TrialSpec.model_validate_json(text)
        known = planned.setdefault((spec.arm, names[spec.condition_key]), [])
        if tune is not None or not known:  # all measurements of an arm under a condition have one task
            known.append(spec)
    if tune is None:
        tasks = {key: task_class(specs[0].task).read(specs[0].config) for key, specs in planned.items()}
    else:
        tasks = {
            (arm.name, condition.name): untuned_task(
                study, tune, arm, condition, planned[arm.name, condition.name]
            )
            for arm in all_arms
            for condition in all_conditions
        }
    return LoadedStudy(
        path=path,
        source=run.study_source,
        scale=run.scale,
        study=study,
        arms=all_arms,
        conditions=all_conditions,
        tasks=tasks,
        settings=settings,
    )


def untuned_task(
    study: Study, tune: Tune, arm: Combination, condition: Combination, tried: Iterable[TrialSpec]
) -> Task:
    """The task of an arm under a condition before tuning. `tried` are the trials that tuned it, in the order
    of the grid.

    A search begins with the task itself. With a grid, every setting that was not tuned has the value of these
    trials. A tuned setting has the value that the
    study declares, if the tuned values follow from it, or else the middle of the tuned values.
    """
    configs = [spec.config for spec in tried]
    document, declared = configs[0], _declared_settings(study, arm, condition)
    for path, grid in (tune.grid or {}).items():
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
