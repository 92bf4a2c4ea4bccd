"""Which run a study belongs to: what must be equal for two invocations to go on with the same one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config import digest
from harness.errors import InputError, StoreError, did_you_mean
from harness.invariants.registry import find_invariant
from harness.machine.environment import Environment
from harness.store.rows import Identity, Run
from harness.store.store import Store
from harness.study.loaded import LoadedStudy


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where and on what a study runs.

    `corpora` holds the content digest of each corpus it reads; `gpu` is a UUID or None.
    """

    results: Path
    environment: Environment
    code: str
    corpora: tuple[str, ...]
    gpu: str | None = None
    plant: str | None = None
    fresh: bool = False


def identity(loaded: LoadedStudy, setting: Setting) -> Identity:
    """What makes two invocations one run: the study's content and text, scale, code, environment and planted
    bug.
    """
    return Identity(
        study_digest=digest(
            {"study": loaded.study.plain(), "tasks": _task_digests(loaded), "corpora": list(setting.corpora)}
        ),
        scale=loaded.scale,
        code_digest=setting.code,
        environment_digest=environment_digest(setting.environment, setting.gpu),
        plant=setting.plant,
    )


def environment_digest(environment: Environment, gpu: str | None) -> str:
    """What makes timings comparable: the machine with its software, and the GPU that was chosen."""
    return digest({"environment": environment.digest, "gpu": gpu})


def _task_digests(loaded: LoadedStudy) -> list[str]:
    return [digest(task.plain()) for task in loaded.tasks.values()]


def check_plant(parts: Sequence[LoadedStudy], plant: str) -> None:
    """Raises InputError unless `plant` names a mutant, `invariant/mutant`, of an invariant that the study
    checks.
    """
    invariant, _, name = plant.partition("/")
    mutants = {
        f"{known}/{mutant.name}"
        for part in parts
        for known in part.study.invariants
        for mutant in find_invariant(known).mutants
    }
    if plant not in mutants:
        raise InputError(f"no bug {name or invariant!r} to plant", hint=did_you_mean(plant, mutants))


def newest_run(store: Store, loaded: LoadedStudy, setting: Setting) -> Run:
    """The newest run of the study as it is written now, whatever code and machine made it.

    StoreError where there is none.
    """
    study, digest_now = loaded.study.study, identity(loaded, setting).study_digest
    runs = [run for run in store.runs(study) if run.scale == loaded.scale and run.plant == setting.plant]
    current = [run for run in runs if run.study_digest == digest_now]
    if current:
        return max(current, key=lambda run: run.created_at)
    again = f"harness run {loaded.path} --scale {loaded.scale}"
    if runs:
        newest = max(run.created_at for run in runs)
        raise StoreError(
            f"{study} was changed after its last run at scale {loaded.scale} ({newest})", hint=again
        )
    raise StoreError(f"there is no run of {study} at scale {loaded.scale}", hint=again)
