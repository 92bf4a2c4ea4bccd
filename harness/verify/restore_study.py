"""The studies of the runs of a report as they were when the runs were made, even if their file has
changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import canonical_json
from harness.errors import HarnessError
from harness.study.arms import arms, conditions
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy, Study
from harness.tasks.registry import task_class
from harness.trial.spec import TrialSpec
from harness.verify.restore_tasks import untuned_task

if TYPE_CHECKING:
    from harness.store.rows import Run
    from harness.store.store import Store


@dataclass(frozen=True, kw_only=True)
class RestoredStudies:
    """One study per run.

    `command_problem` says what the command in the report would run instead. It is None if the command is
    right or cannot be checked.
    """

    parts: tuple[LoadedStudy, ...]
    command_problem: str | None
    notes: tuple[str, ...]


def restore_studies(
    store: Store, runs: Sequence[Run], path: Path, settings: tuple[str, ...]
) -> RestoredStudies:
    """The studies of the runs. They are loaded from their file, with the settings of the command in the
    report, if the file has not changed; else they are restored from the store.
    """
    restored = tuple(_restore(store, run, path, settings) for run in runs)
    try:
        unchanged = path.read_text(encoding="utf-8") == runs[0].study_source
    except (OSError, UnicodeDecodeError):
        unchanged = False
    if not unchanged:
        note = f"{path} is missing or has changed, so the settings of the command could not be checked"
        return RestoredStudies(parts=restored, command_problem=None, notes=(note,))
    try:
        loaded = load_study(path, runs[0].scale, settings)
    except HarnessError as error:
        return RestoredStudies(parts=restored, command_problem=str(error), notes=())
    if [part.study for part in loaded] == [part.study for part in restored]:
        return RestoredStudies(parts=loaded, command_problem=None, notes=())
    return RestoredStudies(
        parts=restored, command_problem="a study that differs from the one that was run", notes=()
    )


def _restore(store: Store, run: Run, path: Path, settings: tuple[str, ...]) -> LoadedStudy:
    """The study as it was loaded for the run: all arms, with the settings that they had before tuning."""
    study = Study.model_validate_json(run.study_json)
    all_arms, all_conditions, tune = arms(study), conditions(study), study.design.tune
    names = {canonical_json(condition.names): condition.name for condition in all_conditions}
    planned: dict[tuple[str, str], list[TrialSpec]] = {}
    for row in store.planned(run):
        if row.purpose == ("measure" if tune is None else "tune"):
            spec = TrialSpec.model_validate_json(row.spec_json)
            planned.setdefault((spec.arm, names[spec.condition_key]), []).append(spec)
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
