"""The study that proved what a search found, as it was when the report was made."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from harness.errors import HarnessError
from harness.experiment.restore_study import (
    RestoredStudies,
    changed_file,
    is_unchanged,
    restore,
    study_and_settings,
)
from harness.search.findings import SearchFindings, proven_findings
from harness.store.rows import Run
from harness.store.store import Store
from harness.study.load import StudyFile
from harness.study.loaded import Study
from harness.study.search_options import SearchOptions
from harness.study.searched import LoadedSearch, measured_content
from harness.tasks.registry import task_class
from harness.trial.spec import TrialSpec


def search_options(words: Sequence[str]) -> tuple[str, ...]:
    """The words of a command that changed the search of the study."""
    return (*(("--part", part) if (part := _part(words)) else ()), *SearchOptions.read(words).words)


def restore_search(store: Store, search: Run, proof: Run, words: Sequence[str]) -> RestoredStudies:
    """The study of a proof. It is loaded from the file of the study, with the options of the command in the
    report, if the file has not changed; else it is restored from the store. `words` are those of the command.
    """
    path, settings = study_and_settings(words)
    restored = restore(store, proof, path, settings)
    if not is_unchanged(path, proof):
        return changed_file((restored,), path)
    findings = proven_findings(store, search, proof)
    try:
        over = SearchOptions.read(words).overrides()
        declared = StudyFile(path).search(_part(words), proof.scale, settings, over)
        best = {level: declared.space.read(point.names) for level, point in findings.best.items()}
        loaded = declared.proof_of(best)
    except HarnessError as error:
        return RestoredStudies(parts=(restored,), command_problem=str(error), notes=())
    if not _is_that(declared, store, findings):
        problem = "a search that differs from the one that was run"
    elif loaded.study != restored.study:
        problem = "a proof that differs from the one that was run"
    else:
        return RestoredStudies(parts=(loaded,), command_problem=None, notes=())
    return RestoredStudies(parts=(restored,), command_problem=problem, notes=())


def _is_that(declared: LoadedSearch, store: Store, findings: SearchFindings) -> bool:
    """Whether a search asks the points that were asked, and measures them in the same way."""
    study = Study.model_validate_json(findings.run.study_json)
    first = next(row for row in store.planned(findings.run) if row.purpose == "search")
    spec = TrialSpec.model_validate_json(first.spec_json)
    begin = task_class(spec.task).read(spec.config)
    recorded = measured_content(study.study, begin, findings.space, findings.search, findings.objectives)
    return declared.measured_content() == recorded


def _part(words: Sequence[str]) -> str:
    return next((word for flag, word in pairwise(words) if flag == "--part"), "")
