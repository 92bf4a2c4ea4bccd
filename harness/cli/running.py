"""`harness run` and `harness report`: everything that they need is brought together here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.console import Output, Progress
from harness.cli.corpora import bring, corpora_of
from harness.cli.results import store_exists
from harness.cli.studies import find_study
from harness.errors import InputError, TrialError, did_you_mean
from harness.run.backends.local import WORKER_VARIABLES
from harness.run.runner import Driver, Setting, check_plant, newest_run
from harness.store.engine import parse_location
from harness.store.store import open_store
from harness.study.load import LoadedStudy, load_study
from harness.telemetry.code import code_digest
from harness.telemetry.environment import Environment, environment

if TYPE_CHECKING:
    from harness.report.inputs import ReportInput
    from harness.run.backends.base import Finished
    from harness.store.rows import Run
    from harness.store.store import Store
    from harness.study.trial import TrialSpec


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What the command line asked for."""

    study: str
    scale: str
    results: Path
    store: str
    reports: Path
    device: str = "auto"
    fresh: bool = False
    plant: str | None = None


def run_study(request: RunRequest, output: Output) -> None:
    """Run what is missing and write the report. Raises TrialError, after that, if something in the run failed."""
    from harness.run.backends.local import LocalBackend
    from harness.telemetry.nvml import NvmlReader

    loaded = load_study(find_study(request.study), request.scale)
    if request.plant is not None:
        check_plant(loaded, request.plant)
    parse_location(request.store)
    here = _environment()
    gpu = _gpu(request.device, here)
    for folder in (request.results, request.reports):
        _check_writable(folder)
    with output.progress() as progress:
        bring(corpora_of(loaded), progress)
    setting = _setting(request, loaded, here, gpu)
    with open_store(request.store) as store:
        with output.progress() as progress, NvmlReader() as nvml, LocalBackend(nvml=nvml) as backend:
            listener = _Listener(output, progress)
            run = Driver(loaded, setting, store=store, backend=backend, listener=listener).run()
        _write(store, loaded, run, request, output)


def report_study(request: RunRequest, output: Output) -> None:
    """Write the report of the newest run of a study as it is written now."""
    loaded = load_study(find_study(request.study), request.scale)
    _check_writable(request.reports)
    with _newest(request, loaded) as (store, run):
        _write(store, loaded, run, request, output)


def export_study(request: RunRequest, output: Output) -> None:
    """Print the raw samples of the newest run of a study as it is written now."""
    from harness.analysis.frames import run_frames

    loaded = load_study(find_study(request.study), request.scale)
    with _newest(request, loaded) as (store, run):
        frame = run_frames(store, run).samples
    output.line(frame.to_csv(index=False).rstrip("\n"))


@contextmanager
def _newest(request: RunRequest, loaded: LoadedStudy) -> Iterator[tuple[Store, Run]]:
    """The store, open, and the newest run in it. Raises InputError where there is none, and makes none."""
    if not store_exists(request.store):
        raise InputError(
            f"there are no results at {request.store}",
            hint=f"harness run {loaded.path} --scale {request.scale}",
        )
    with open_store(request.store) as store:
        yield store, newest_run(store, loaded, _setting(request, loaded, _environment(), gpu=None))


def _environment() -> Environment:
    """That of the workers."""
    found = environment()
    return found.model_copy(update={"variables": {**WORKER_VARIABLES, **found.variables}})


def _setting(request: RunRequest, loaded: LoadedStudy, here: Environment, gpu: str | None) -> Setting:
    from harness.data.corpus import load_corpus

    return Setting(
        results=request.results,
        environment=here,
        code=code_digest(),
        corpora=tuple(load_corpus(reference).digest for reference in corpora_of(loaded)),
        gpu=gpu,
        plant=request.plant,
        fresh=request.fresh,
    )


def _gpu(device: str, here: Environment) -> str | None:
    uuids = [gpu.uuid for gpu in here.gpus]
    if device == "cpu" or (device == "auto" and not uuids):
        return None
    if device == "auto":
        return uuids[0]
    if device not in uuids:
        raise InputError(f"no device {device!r}", hint=did_you_mean(device, ["auto", "cpu", *uuids]))
    return device


def _check_writable(folder: Path) -> None:
    """InputError where nothing could be written in the folder, or it could not be made; nothing is made here."""
    nearest = folder.absolute()
    while not os.path.lexists(nearest):
        nearest = nearest.parent
    if not nearest.is_dir():
        raise InputError(f"cannot write in {folder}: {nearest} is not a folder", hint="choose another folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(
            f"cannot write in {folder}: permission denied", hint="choose another folder or change its rights"
        )


def _write(store: Store, loaded: LoadedStudy, run: Run, request: RunRequest, output: Output) -> None:
    from harness.report.build import write_report
    from harness.report.source import report_input

    found = report_input(store, loaded, run)
    name = loaded.study.study if loaded.scale == "cpu" else f"{loaded.study.study}.{loaded.scale}"
    path = request.reports / (f"{name}.planted.html" if request.plant else f"{name}.html")
    request.reports.mkdir(parents=True, exist_ok=True)
    write_report(found, path)
    _tell(found, path, output)
    problems = [
        *found.run.failed,  # first, as an arm may be invalid because of them
        *_diverged(store, run),
        *(f"{arm}: {reason}" for arm, reason in found.analysis.invalid.items()),
    ]
    if problems:
        count = f"{len(problems)} things do not count, first: " if len(problems) > 1 else ""
        raise TrialError(f"{count}{problems[0]}", hint=f"see {path}")


def _diverged(store: Store, run: Run) -> list[str]:
    """Trainings that the study needs a model from and that gave none: data, but not for this study."""
    return [
        f"train seed {row.seed} diverged after {row.spent['updates']:g} updates, so there is no model to measure"
        for row in store.trials(run)
        if row.purpose == "train" and row.notes.get("diverged")
    ]


def _tell(found: ReportInput, path: Path, output: Output) -> None:
    claims: list[dict[str, Any]] = [asdict(claim) for claim in found.analysis.claims]
    if output.json:
        output.data(
            {
                "study": found.loaded.study.study,
                "scale": found.run.scale,
                "run": found.run.id,
                "answer": found.analysis.answer,
                "claims": claims,
                "invalid": found.analysis.invalid,
                "failed": found.run.failed,
                "finished": found.run.finished_trials,
                "expected": found.run.expected_trials,
                "report": str(path),
            }
        )
        return
    if not output.quiet:
        output.line(found.loaded.study.question)
        output.line(found.analysis.answer)
        output.table(
            [{"claim": claim["id"], **claim} for claim in claims],
            ["claim", "verdict", "effect", "interval", "claimed", "n"],
        )
    output.line(f"report: {path}")


class _Listener:
    """Shows progress to a person."""

    def __init__(self, output: Output, progress: Progress) -> None:
        self._output, self._progress, self._done = output, progress, 0

    def begin(self, run: Run, *, todo: int, done: int) -> None:
        if todo:
            self._progress.begin(f"run {run.id}: {todo} trials to go, {done} done", todo)
        else:
            self._output.note(f"run {run.id}: all {done} trials are done")

    def trial(self, spec: TrialSpec) -> None:
        self._progress.advance(self._done, spec.title)

    def finished(self, spec: TrialSpec, finished: Finished) -> None:
        outcome = finished.outcome
        if outcome.status == "failed":
            self._output.note(f"failed: {spec.title}: {outcome.error}")
        else:
            self._done += 1
            self._output.detail(f"{spec.title}: {finished.seconds:.2f} s")
        self._progress.advance(self._done, spec.title)

    def note(self, message: str) -> None:
        self._output.note(message)
