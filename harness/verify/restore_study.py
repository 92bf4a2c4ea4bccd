"""The studies of a report's runs as they were when the runs were made, whatever their file says now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import canonical_json
from harness.errors import HarnessError
from harness.study.arms import arms, conditions
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.study.study import Study
from harness.tasks.registry import task_class
from harness.trial.spec import TrialSpec
from harness.verify.restore_tasks import untuned_task

if TYPE_CHECKING:
    from harness.store.rows import Run
    from harness.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Studies:
    """One study a run.

    `command_leads_to` says what the report's command would run instead, None where nothing else is known.
    """

    parts: tuple[LoadedStudy, ...]
    command_leads_to: str | None
    notes: tuple[str, ...]


def studies_of(store: Store, runs: Sequence[Run], path: Path, settings: tuple[str, ...]) -> Studies:
    """Read from their file with the settings of the report's command, where it says what it said; else from
    the store alone.
    """
    restored = tuple(_restored(store, run, path, settings) for run in runs)
    try:
        as_it_was = path.read_text(encoding="utf-8") == runs[0].study_source
    except (OSError, UnicodeDecodeError):
        as_it_was = False
    if not as_it_was:
        note = f"{path} is not here as it was, so the settings of the command were not checked"
        return Studies(parts=restored, command_leads_to=None, notes=(note,))
    try:
        found = load_study(path, runs[0].scale, settings)
    except HarnessError as error:
        return Studies(parts=restored, command_leads_to=str(error), notes=())
    if [part.study for part in found] == [part.study for part in restored]:
        return Studies(parts=found, command_leads_to=None, notes=())
    return Studies(parts=restored, command_leads_to="another study than the one that was run", notes=())


def _restored(store: Store, run: Run, path: Path, settings: tuple[str, ...]) -> LoadedStudy:
    """As it was loaded for the run: arms that were tuned are as they were before that, those that went no
    further among them.
    """
    study = Study.model_validate_json(run.study_json)
    both, tune = (arms(study), conditions(study)), study.design.tune
    names = {canonical_json(condition.names): condition.name for condition in both[1]}
    planned: dict[tuple[str, str], list[TrialSpec]] = {}
    for row in store.planned(run):
        if row.purpose == ("measure" if tune is None else "tune"):
            spec = TrialSpec.model_validate_json(row.spec_json)
            planned.setdefault((spec.arm, names[spec.condition_key]), []).append(spec)
    if tune is None:
        tasks = {place: task_class(specs[0].task).read(specs[0].config) for place, specs in planned.items()}
    else:
        tasks = {
            (arm.name, condition.name): untuned_task(
                study, tune, (arm, condition), planned[arm.name, condition.name]
            )
            for arm in both[0]
            for condition in both[1]
        }
    return LoadedStudy(
        path=path,
        source=run.study_source,
        scale=run.scale,
        study=study,
        arms=both[0],
        conditions=both[1],
        tasks=tasks,
        settings=settings,
    )
