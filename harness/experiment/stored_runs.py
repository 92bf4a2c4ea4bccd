"""A run that somebody chose by its id: it is found in the store, and shown, reported and exported like the
newest run of its study.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, InputError, did_you_mean
from harness.experiment.corpora import corpora_of
from harness.experiment.experiment import Experiment
from harness.experiment.report_name import report_name
from harness.experiment.restore_study import declared_by, restore
from harness.experiment.run_differences import MISSING_TEXT, setting_differences
from harness.experiment.this_machine import this_machine
from harness.experiment.workspace import Workspace, find_study
from harness.metrics import declared
from harness.run.given_settings import given_settings
from harness.run.identity import measured_the_same
from harness.store.rows import Run
from harness.store.store import Store, open_store
from harness.study.load import StudyFile
from harness.study.loaded import LoadedStudy
from harness.study.searched import PROOF, SEARCH, search_kind
from harness.trial.spec import TRIAL_ID


def find_run(store: Store, wanted: str) -> Run:
    """The run with this id, or the newest run that has a trial with this id.

    Raises InputError, with ids that are similar, if there is none.
    """
    runs = store.runs()
    for run in runs:
        if run.id == wanted:
            return run
    if TRIAL_ID.fullmatch(wanted):
        for run in reversed(runs):
            if store.trial(run, wanted):
                return run
    hint = did_you_mean(wanted, [run.id for run in runs]) or "`harness runs STUDY` lists the runs of a study"
    raise InputError(f"the store has no run and no trial {wanted!r}", hint=hint)


@dataclass(frozen=True, kw_only=True)
class RestoredRun:
    """A run, the runs of the other parts of its study that belong to it, and the study of each of them.

    `note` says why the studies are those that were declared when the run began, and not those of the file.
    """

    run: Run
    runs: tuple[Run, ...]
    parts: tuple[LoadedStudy, ...]
    note: str = ""


class RunExperiment(Experiment):
    """The results of one run. If its study has parts, the results of each of them."""

    def __init__(self, restored: RestoredRun, workspace: Workspace) -> None:
        here, gpu = this_machine("cpu")
        super().__init__(restored.parts, here, workspace=workspace, gpu=gpu, plant=restored.run.plant)
        self.restored = restored
        self._runs = {part.part: run for part, run in zip(restored.parts, restored.runs, strict=True)}

    @property
    def report_file(self) -> str:
        run, settings = self.restored.run, self.parts[0].settings
        return report_name(self.name, run.scale, settings, plant=run.plant, run=run.id)

    def report(self) -> Path:
        """As for a study. Raises InputError for the proof of a search, whose report shows the search too."""
        if search_kind(self.restored.run.study) == PROOF:
            name = self.name
            raise InputError(
                f"run {self.restored.run.id} is the proof of a search of {name}",
                hint=f"`harness search {name}` writes its report",
            )
        return super().report()


def run_experiment(workspace: Workspace, wanted: str, study: str | None = None) -> RunExperiment:
    """The results of the run with this id, or of the newest run that has a trial with this id. `study` is the
    file or the name of its study, by default the name that the run recorded.

    Raises InputError if there is no such run, or if it belongs to another study.
    """
    workspace.check_exists()
    with open_store(workspace.location) as store:
        return RunExperiment(restored_run(store, find_run(store, wanted), study), workspace)


def restored_run(store: Store, run: Run, study: str | None = None) -> RestoredRun:
    """The run with its study: that of the file as it is today, with the settings of the run, if this still
    measures what the run measured; else the study that the run recorded.

    Raises InputError if the run belongs to another study, or to a search.
    """
    name = run.study.partition("/")[0]
    if search_kind(run.study) == SEARCH and next(store.planned_specs(run, "search"), None) is not None:
        raise InputError(
            f"run {run.id} holds the points of a search of {name}",
            hint=f"`harness search {name}` shows it, and `harness runs {name}` lists the run of its proof",
        )
    path = _file(name, study)
    runs = tuple(runs_of_all_parts(store, run))
    settings = given_settings(store, run)
    with declared(declared_by(runs)):
        parts = _as_today(store, runs, path, settings)
        if parts is not None:
            return RestoredRun(run=run, runs=runs, parts=parts)
        parts = tuple(restore(store, one, path, settings) for one in runs)
    if search_kind(run.study) == PROOF:  # no file states it
        return RestoredRun(run=run, runs=runs, parts=parts)
    note = f"{path} is missing or measures something else today, so run {run.id} is judged as it was declared"
    return RestoredRun(run=run, runs=runs, parts=parts, note=note)


def runs_of_all_parts(store: Store, run: Run) -> Iterator[Run]:
    """The run, and for each other part of its study the run that was made nearest to it, at the same scale
    with the same text, code, machine and planted bug. They come in the order in which they were made.
    """
    name = run.study.partition("/")[0]
    nearest: dict[str, Run] = {}
    for other in store.runs():
        if other.study.partition("/")[0] != name or not _made_alike(run, other):
            continue
        known = nearest.get(other.study)
        if known is None or abs(other.number - run.number) < abs(known.number - run.number):
            nearest[other.study] = other
    yield from sorted(nearest.values(), key=lambda one: one.number)


def _file(name: str, study: str | None) -> Path:
    """The file of a run's study."""
    if study is None:
        try:
            return find_study(name)
        except InputError:
            return Path(f"{name}.yaml")
    path = find_study(study)
    if (named := StudyFile(path).load()[0].name) != name:
        raise InputError(f"the run belongs to the study {name}, and not to {named}")
    return path


def _as_today(
    store: Store, runs: Sequence[Run], path: Path, settings: tuple[str, ...]
) -> tuple[LoadedStudy, ...] | None:
    """The studies of the file, with settings with which they measure what the runs measured."""
    try:
        file = StudyFile(path)
        for candidate in (settings, tuple(_needed_settings(file, runs))):
            loaded = file.load(runs[0].scale, candidate)
            by_name = {part.study.study: part for part in loaded}
            parts = tuple(by_name[run.study] for run in runs if run.study in by_name)
            if len(parts) == len(runs) and _all_measured(store, runs, parts, loaded):
                return parts
    except HarnessError:
        return None
    return None


def _all_measured(
    store: Store, runs: Sequence[Run], parts: Sequence[LoadedStudy], loaded: Iterable[LoadedStudy]
) -> bool:
    from harness.data.corpus import load_corpus

    corpora = tuple(load_corpus(reference).digest for reference in corpora_of(*loaded))
    return all(measured_the_same(store, run, part, corpora) for run, part in zip(runs, parts, strict=True))


def _needed_settings(file: StudyFile, runs: Sequence[Run]) -> Iterator[str]:
    """Settings that change the plain study into what the runs recorded."""
    plain = {part.study.study: part for part in file.load(runs[0].scale)}
    for run in runs:
        if run.study not in plain:
            continue
        part = plain[run.study]
        where = f"parts.{part.part}." if part.part else ""
        for difference in setting_differences(part.study.model_dump(mode="json"), json.loads(run.study_json)):
            if difference.now != MISSING_TEXT:
                yield f"{where}{difference.path}={difference.now}"


def _made_alike(run: Run, other: Run) -> bool:
    """Whether one command can have made both runs."""
    one, two = (
        (r.scale, r.code_digest, r.environment_digest, r.plant, r.study_source, search_kind(r.study))
        for r in (run, other)
    )
    return one == two
