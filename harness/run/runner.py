"""The driver: decides which run a study belongs to, runs what is missing, and is the only one that writes to the store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.config import canonical_json, digest
from harness.errors import InputError, StoreError, did_you_mean
from harness.invariants.registry import find_invariant
from harness.run.backends.base import Backend, Finished
from harness.run.job import Job
from harness.run.lease import machine_lease
from harness.store.rows import Artifact, Identity, Run, Session, TrialRow
from harness.store.store import Store
from harness.study.load import LoadedStudy
from harness.study.plan import Plan, plan
from harness.study.trial import TrialSpec
from harness.telemetry.environment import Environment, available_cores, provenance
from harness.training.checkpoint import weights_digest

ATTEMPTS = 2
"""A trial that crashes is tried once more; a second crash stays, and its arm does not count."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where and on what a study runs. `corpora` holds the content digest of each corpus it reads; `gpu` is a UUID or None."""

    results: Path
    environment: Environment
    code: str
    corpora: tuple[str, ...]
    gpu: str | None = None
    plant: str | None = None
    fresh: bool = False


class Listener(Protocol):
    """Told of progress, for a person to see."""

    def begin(self, run: Run, *, todo: int, done: int) -> None: ...
    def trial(self, spec: TrialSpec) -> None: ...
    def finished(self, spec: TrialSpec, finished: Finished) -> None: ...
    def note(self, message: str) -> None: ...


def worker_threads() -> int:
    """All cores but one: threads that wait for a core that another process has make every operation up to 18 times slower."""
    return max(1, available_cores() - 1)


@dataclass(kw_only=True)
class _Progress:
    """What the driver knows of the run so far."""

    run: Run
    session: Session
    position: int
    attempts: dict[str, int] = field(default_factory=dict)


def identity(loaded: LoadedStudy, setting: Setting) -> Identity:
    """What makes two invocations one run: the study's content and text, scale, code, environment and planted bug."""
    return Identity(
        study_digest=digest(
            {"study": loaded.study.plain(), "tasks": _task_digests(loaded), "corpora": list(setting.corpora)}
        ),
        scale=loaded.scale,
        code_digest=setting.code,
        environment_digest=digest({"environment": setting.environment.digest, "gpu": setting.gpu}),
        plant=setting.plant,
    )


def _task_digests(loaded: LoadedStudy) -> list[str]:
    return [digest(task.plain()) for task in loaded.tasks.values()]


def check_plant(loaded: LoadedStudy, plant: str) -> None:
    """Raises InputError unless `plant` names a mutant, `invariant/mutant`, of an invariant that the study checks."""
    invariant, _, name = plant.partition("/")
    mutants = {
        f"{known}/{mutant.name}"
        for known in loaded.study.invariants
        for mutant in find_invariant(known).mutants
    }
    if plant not in mutants:
        raise InputError(f"no bug {name or invariant!r} to plant", hint=did_you_mean(plant, mutants))


class Driver:
    """Runs one study to its end, as far as that can be reached."""

    def __init__(
        self, loaded: LoadedStudy, setting: Setting, *, store: Store, backend: Backend, listener: Listener
    ) -> None:
        self._loaded, self._setting = loaded, setting
        self._store, self._backend, self._listener = store, backend, listener
        self._plan: Plan = plan(loaded)

    def run(self) -> Run:
        """Find or create the run, and run every trial that it lacks. Safe to interrupt at any moment and to call again."""
        run = self._find_or_create()
        session = self._store.open_session(run, provenance(Path.cwd()).model_dump(mode="json"))
        try:
            rows = self._store.trials(run, include_superseded=True)
            progress = _Progress(
                run=run, session=session, position=max((row.position for row in rows), default=-1) + 1
            )
            for row in rows:
                progress.attempts[row.spec_id] = max(progress.attempts.get(row.spec_id, 0), row.attempt)
            self._run_missing(progress)
        finally:
            self._store.close_session(session)
        return run

    def _find_or_create(self) -> Run:
        who = identity(self._loaded, self._setting)
        found = None if self._setting.fresh else self._store.find_run(who)
        return found or self._store.create_run(
            who,
            study=self._loaded.study.study,
            study_json=canonical_json(self._loaded.study.plain()),
            study_source=self._loaded.source,
            environment=self._setting.environment.model_dump(mode="json"),
            trials=self._plan.trials,
        )

    def _run_missing(self, progress: _Progress) -> None:
        finished = self._store.finished_spec_ids(progress.run)
        trainings = [spec for spec in self._plan.trainings if not self._has_checkpoint(spec)]
        checks = [spec for spec in self._plan.checks if spec.id not in finished]
        rounds = self._missing_rounds(progress.run)
        todo = len(trainings) + len(checks) + sum(len(trials) for trials in rounds)
        self._listener.begin(progress.run, todo=todo, done=len(self._plan.trials) - todo)
        self._set_aside(progress.run, [spec for spec in trainings if spec.id in finished])
        for spec in trainings:
            self._run_training(spec, progress)
        lacking = [spec for spec in self._plan.trainings if not self._has_checkpoint(spec)]
        if lacking:
            self._listener.note(f"{lacking[0].title} left no model, so nothing can be measured")
            return
        for spec in checks:
            self._attempt(spec, progress)
        if rounds:
            with machine_lease(self._listener.note):
                for trials in rounds:
                    self._run_round(trials, progress)

    def _missing_rounds(self, run: Run) -> list[tuple[TrialSpec, ...]]:
        """Rounds that are not whole, or not of one session: a round is run again from its beginning."""
        sessions: dict[str, int] = {row.spec_id: row.session_id for row in self._finished(run)}
        return [
            trials
            for trials in self._plan.rounds
            if len({sessions.get(spec.id) for spec in trials}) != 1
            or any(spec.id not in sessions for spec in trials)
        ]

    def _run_round(self, trials: tuple[TrialSpec, ...], progress: _Progress) -> None:
        self._set_aside(progress.run, trials)
        self._backend.begin_round()
        for spec in trials:
            self._attempt(spec, progress)

    def _run_training(self, spec: TrialSpec, progress: _Progress) -> None:
        attempt_id, result = self._attempt(spec, progress)
        folder = self._folder(spec)
        if result.outcome.status == "finished" and "weights" in result.outcome.outputs:
            self._store.record_artifact(
                Artifact(
                    kind="checkpoint",
                    content_id=self._checkpoint_id(spec),
                    sha256=result.outcome.outputs["weights"],
                    path=str(folder),
                    attempt_id=attempt_id,
                )
            )

    def _attempt(self, spec: TrialSpec, progress: _Progress) -> tuple[int, Finished]:
        """Run a trial, and once more if it fails. Every attempt is kept."""
        for _ in range(ATTEMPTS):
            self._listener.trial(spec)
            attempt = progress.attempts[spec.id] = progress.attempts.get(spec.id, 0) + 1
            attempt_id = self._store.begin_trial(
                progress.run, progress.session, spec, position=progress.position, attempt=attempt
            )
            progress.position += 1
            handle = self._backend.submit(self._job(spec))
            try:
                result = handle.future.result()
            except BaseException:
                handle.cancel(grace_s=2.0)
                raise
            self._store.finish_trial(
                attempt_id,
                result.outcome,
                seconds=result.seconds,
                telemetry=result.telemetry,
                nvml_reason=result.nvml_reason,
            )
            self._listener.finished(spec, result)
            if result.outcome.status == "finished":
                break
        return attempt_id, result

    def _job(self, spec: TrialSpec) -> Job:
        return Job(
            spec=spec,
            events="",
            checkpoints=self._folders(spec.seed),
            threads=worker_threads(),
            gpu=self._setting.gpu,
            plant=self._setting.plant,
        )

    def _folders(self, seed: int) -> dict[str, str]:
        return {
            digest(spec.config): str(self._folder(spec)) for spec in self._plan.trainings if spec.seed == seed
        }

    def _folder(self, spec: TrialSpec) -> Path:
        return self._setting.results.resolve() / "checkpoints" / self._checkpoint_id(spec)

    def _checkpoint_id(self, training: TrialSpec) -> str:
        """The recipe's content, its text's content, the seed and the code: a model made from equal ones is shared."""
        return digest(
            {
                "train": training.config,
                "seed": training.seed,
                "code": self._setting.code,
                "corpora": list(self._setting.corpora),
                "plant": self._setting.plant,
            }
        )

    def _has_checkpoint(self, spec: TrialSpec) -> bool:
        """Whether the model is there as it was made; one that is lost or damaged is trained again."""
        known = self._store.artifact("checkpoint", self._checkpoint_id(spec))
        if known is None:
            return False
        folder = self._folder(spec)
        try:
            whole = weights_digest(folder) == known.sha256
        except OSError as error:
            self._listener.note(
                f"the checkpoint {folder} cannot be read ({error.strerror}); training it again"
            )
            return False
        if not whole:
            self._listener.note(f"the checkpoint {folder} is damaged; training it again")
        return whole

    def _set_aside(self, run: Run, specs: Iterable[TrialSpec]) -> None:
        ids = {spec.id for spec in specs}
        self._store.supersede(run, [row.id for row in self._store.trials(run) if row.spec_id in ids])

    def _finished(self, run: Run) -> list[TrialRow]:
        return [row for row in self._store.trials(run) if row.status == "finished"]


def newest_run(store: Store, loaded: LoadedStudy, setting: Setting) -> Run:
    """The newest run of the study as it is written now, whatever code and machine made it. StoreError where there is none."""
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
