"""The identity of a run: everything that must be equal if a second invocation is to continue the same run.

Only what is measured counts (`harness.study.measured`). A study that is judged otherwise has the same run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from harness.config import digest
from harness.errors import InputError, StoreError, did_you_mean
from harness.invariants.registry import find_invariant
from harness.machine.environment import Environment
from harness.store.rows import Identity, Run
from harness.store.store import Store
from harness.study.arms import arms, conditions
from harness.study.loaded import LoadedStudy, Study
from harness.study.measured import measured_content
from harness.study.planning.plan import plan

DIGEST_PREFIX, SECOND_PREFIX = "s3-", "s2-"
"""Of the digests of studies, and of those of the second version, which covered claims and margins as well.
Digests of the first version have none.
"""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where and on what a study runs.

    `code` is the digest of the code that can change a measurement. `corpora` holds the content digest of each
    corpus that the study reads. `gpu` is a UUID, or None for the CPU. With `retry_failed`, trials that failed
    by themselves in earlier sessions run again.
    """

    results: Path
    environment: Environment
    code: str
    corpora: tuple[str, ...]
    gpu: str | None = None
    plant: str | None = None
    fresh: bool = False
    retry_failed: bool = False


def identity(loaded: LoadedStudy, setting: Setting) -> Identity:
    """The identity of the study's run: its content and texts, scale, code, environment and planted bug."""
    return Identity(
        study_digest=_study_digest(loaded, setting.corpora),
        scale=loaded.scale,
        code_digest=setting.code,
        environment_digest=environment_digest(setting.environment, setting.gpu),
        plant=setting.plant,
    )


def environment_digest(environment: Environment, gpu: str | None) -> str:
    """Identifies what timings depend on: the machine with its software, and the chosen GPU."""
    return digest({"environment": environment.digest, "gpu": gpu})


def _study_digest(loaded: LoadedStudy, corpora: Sequence[str]) -> str:
    return DIGEST_PREFIX + digest({"study": measured_content(loaded), "corpora": list(corpora)})


def _second_digest(loaded: LoadedStudy, corpora: Sequence[str]) -> str:
    """The digest that the second version of the code gave to a study."""
    tasks = list(loaded.task_digests.values())
    return SECOND_PREFIX + digest({"study": loaded.study.digest, "tasks": tasks, "corpora": list(corpora)})


def check_plant(parts: Sequence[LoadedStudy], plant: str) -> None:
    """Raises InputError if `plant` is not the name `invariant/bug` of a planted bug.

    The invariant must be one that the study checks.
    """
    bugs = {
        f"{known}/{bug.name}"
        for part in parts
        for known in part.study.invariants
        for bug in find_invariant(known).planted_bugs
    }
    if plant not in bugs:
        raise InputError(
            f"{plant!r} is not a planted bug of an invariant of this study", hint=did_you_mean(plant, bugs)
        )


def newest_run(store: Store, loaded: LoadedStudy, setting: Setting) -> Run:
    """The newest run that measured what the study measures, on any machine and with any code. Its claims and
    margins may be others.

    Raises StoreError if there is none.
    """
    study = loaded.study.study
    runs = [run for run in store.runs(study) if run.scale == loaded.scale and run.plant == setting.plant]
    for run in reversed(runs):
        if measured_the_same(store, run, loaded, setting.corpora):
            return run
    again = f"harness run {loaded.path} --scale {loaded.scale}"
    if runs:
        raise StoreError(
            f"{study} was changed after its last run at scale {loaded.scale} ({runs[-1].created_at})",
            hint=again,
        )
    raise StoreError(f"there is no run of {study} at scale {loaded.scale}", hint=again)


def measured_the_same(store: Store, run: Run, loaded: LoadedStudy, corpora: Sequence[str]) -> bool:
    """Whether what a run stored is what the study measures, read by the code of today. The digest of the run
    alone does not say so: earlier versions made it differently, and a default may have changed.
    """
    try:
        stored = Study.model_validate_json(run.study_json)
    except ValidationError:
        return False
    before = replace(loaded, study=stored, arms=arms(stored), conditions=conditions(stored))
    names = {(arm.name, condition.name) for arm in before.arms for condition in before.conditions}
    if names != loaded.tasks.keys() or measured_content(before) != measured_content(loaded):
        return False
    if run.study_digest.startswith(DIGEST_PREFIX) and run.study_digest != _study_digest(loaded, corpora):
        return False
    if run.study_digest.startswith(SECOND_PREFIX) and run.study_digest != _second_digest(before, corpora):
        return False
    return store.planned_ids(run).issuperset(
        spec.id
        for batch in plan(loaded.drawn(run.draw, run.training_draw)).known
        if batch.purpose != "check"
        for spec in batch.trials
    )
