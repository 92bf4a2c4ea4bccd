"""From a study's file to its run, its samples, its verdicts and its report."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from harness.errors import InputError, did_you_mean
from harness.experiment.calibrated_rounds import asks_calibration, with_calibrated_rounds
from harness.experiment.corpora import bring, check_installed, check_texts, corpora_of
from harness.experiment.studies import find_study
from harness.machine.code_digest import code_digests
from harness.machine.environment import Environment, environment
from harness.run.backends.local import WORKER_VARIABLES
from harness.run.driver import Driver, Listener, worker_threads
from harness.run.identity import Setting, check_plant, environment_digest, newest_run
from harness.store.engine import parse_location
from harness.store.store import open_store
from harness.study.load import load_study, scales
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import longest_plan
from harness.study.reading.overlays import BODY_SCALE

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.results import Analysis
    from harness.report.inputs import ReportInput
    from harness.store.rows import CalibrationRow, Run
    from harness.store.store import Store

GPU_SCALE = "gpu"
DATABASE = "harness.db"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where results, checkpoints and reports are.

    `store` is a file or a URL, by default `harness.db` among the results.
    """

    results: Path = Path("results")
    reports: Path = Path("reports")
    store: str | None = None

    @property
    def location(self) -> str:
        return self.store or str(self.results / DATABASE)

    def has_store(self) -> bool:
        """Whether there is a database to open; of one on a server only the server knows.

        Raises StoreError for a bad URL.
        """
        url = parse_location(self.location)
        return url.get_backend_name() != "sqlite" or Path(str(url.database)).exists()

    def check_there(self) -> None:
        """Raises InputError where there is no database to open, StoreError for a bad URL."""
        if not self.has_store():
            raise InputError(f"there are no results at {self.location}", hint="name them with --store")

    def check_writable(self) -> None:
        """Raises InputError or StoreError where nothing could be written; nothing is made here."""
        parse_location(self.location)
        for folder in (self.results, self.reports):
            nearest = folder.absolute()
            while not os.path.lexists(nearest):
                nearest = nearest.parent
            if not nearest.is_dir():
                raise InputError(
                    f"cannot write in {folder}: {nearest} is not a folder", hint="choose another folder"
                )
            if not os.access(nearest, os.W_OK | os.X_OK):
                hint = "choose another folder or change its rights"
                raise InputError(f"cannot write in {folder}: permission denied", hint=hint)


def load(
    study: str | Path,
    *,
    scale: str | None = None,
    settings: Sequence[str] = (),
    device: str = "auto",
    place: Place | None = None,
    plant: str | None = None,
) -> Experiment:
    """The study of a file, or of a name in `studies/`. Raises StudyError or InputError, one line that says
    what and where.

    `scale` follows the device unless it is given. `settings` are `path=value` (`design.rounds=20`), laid on
    the study before anything else, so that they are part of what its digest names; `design.rounds=calibrated`
    stands for as many rounds as calibration found this machine to need. `device` is auto, cpu or a GPU's
    UUID; `plant` a bug, `invariant/mutant`, that is put into the workers on purpose.
    """
    path = find_study(str(study))
    here, gpu = this_machine(device)
    if scale is None:
        scale = GPU_SCALE if gpu is not None and GPU_SCALE in scales(path) else BODY_SCALE
    written = [setting for setting in settings if not asks_calibration(setting)]
    parts = load_study(path, scale, written)
    if plant is not None:
        check_plant(parts, plant)
    experiment = Experiment(parts, here, place=place or Place(), gpu=gpu, plant=plant)
    if len(written) < len(settings):
        settings = with_calibrated_rounds(settings, parts, experiment.calibration())
        experiment.parts = load_study(path, scale, settings)
    return experiment


class Experiment:
    """A study at one scale, on one device, with its results in one place.

    `parts` are the comparisons that it is made of.
    """

    def __init__(
        self,
        parts: tuple[LoadedStudy, ...],
        here: Environment,
        *,
        place: Place,
        gpu: str | None,
        plant: str | None,
    ) -> None:
        self.parts, self.place = parts, place
        self._here, self._gpu, self._plant = here, gpu, plant
        self._runs: dict[str, Run] = {}

    @property
    def name(self) -> str:
        """The study's, whatever its parts are called."""
        return self.parts[0].name

    def run(self, *, fresh: bool = False, listener: Listener | None = None) -> Self:
        """Run what the study lacks, part by part; `fresh` starts other runs though some are there. Safe to
        interrupt, and to call again.
        """
        from harness.run.backends.local import LocalBackend
        from harness.telemetry.nvml import NvmlReader

        listener = listener or Listener()
        self.place.check_writable()
        check_installed(*self.parts)
        bring(corpora_of(*self.parts), listener.fetching)
        check_texts(*self.parts)
        setting = self._setting(fresh=fresh)
        with (
            open_store(self.place.location) as store,
            NvmlReader() as nvml,
            LocalBackend(nvml=nvml) as backend,
        ):
            listener.parts(tuple(len(longest_plan(part).trials) for part in self.parts))
            drivers = {
                part.part: Driver(part, setting, store=store, backend=backend, listener=listener)
                for part in self.parts
            }
            for driver in drivers.values():
                driver.check()
            for part, driver in drivers.items():
                self._runs[part] = driver.run()
        return self

    def frame(self) -> pd.DataFrame:
        """Every raw sample, one row each, with arm, condition, seed, round, metric, step, value and unit; of
        several parts, with the part's name.
        """
        import pandas as pd

        from harness.analysis.frames import run_frames

        with self.opened() as (store, runs):
            frames = [run_frames(store, run).samples for run in runs]
        if len(frames) == 1:
            return frames[0]
        for part, frame in zip(self.parts, frames, strict=True):
            frame.insert(0, "part", part.part)
        return pd.concat(frames, ignore_index=True)

    def findings(self) -> tuple[ReportInput, ...]:
        """Everything that a report shows, part by part; verdicts are computed anew from the stored samples."""
        from harness.report.source import report_input

        with self.opened() as (store, runs):
            return tuple(report_input(store, part, run) for part, run in zip(self.parts, runs, strict=True))

    def judge(self) -> tuple[ReportInput, ...]:
        """The findings, and every verdict on a claim kept in the store beside the samples that it was
        computed from.
        """
        from harness.store.rows import VerdictRow

        found, code = self.findings(), code_digests().judging
        with self.opened() as (store, runs):
            for part, run in zip(found, runs, strict=True):
                claims = [(claim.row(), claim.stored_basis()) for claim in part.analysis.claims]
                rows = [
                    VerdictRow(claim=row.pop("id"), **row, basis=basis, code_digest=code)
                    for row, basis in claims
                ]
                store.record_verdicts(run, rows)
        return found

    def analysis(self, part: str = "") -> Analysis:
        """Contrasts, claims, and what does not count, of the part with this name; a study without parts has
        one, without a name.
        """
        names = [known.part for known in self.parts]
        if part not in names:
            raise InputError(
                f"{self.name} has no part {part!r}", hint=did_you_mean(part, filter(None, names))
            )
        return self.findings()[names.index(part)].analysis

    def verdicts(self) -> pd.DataFrame:
        """One row a claim: id, verdict, effect, low, high, n, claimed, and the sentence that says why."""
        import pandas as pd

        return pd.DataFrame(
            [claim.row() for part in self.findings() for claim in part.analysis.claims],
            columns=["id", "verdict", "effect", "low", "high", "n", "claimed", "reason"],
        )

    def report(self, found: tuple[ReportInput, ...] | None = None) -> Path:
        """Write the HTML report, and say where it is."""
        from harness.report.build import write_report
        from harness.store.rows import Artifact

        scale = "" if self.parts[0].scale == BODY_SCALE else f".{self.parts[0].scale}"
        planted = ".planted" if self._plant else ""
        path = self.place.reports / f"{self.name}{scale}{planted}.html"
        self.place.reports.mkdir(parents=True, exist_ok=True)
        shown = found or self.findings()
        write_report(shown, path)
        sha256, place = hashlib.sha256(path.read_bytes()).hexdigest(), str(path.resolve())
        with self.opened() as (store, runs):
            for run in runs:
                store.record_artifact(
                    Artifact(kind="report", content_id=run.id, sha256=sha256, path=place, run_id=run.id)
                )
        return path

    def calibration(self) -> CalibrationRow | None:
        """What this machine was last measured to be; None where it has not been calibrated."""
        if not self.place.has_store():
            return None
        with open_store(self.place.location) as store:
            return store.calibration(environment_digest(self._here, self._gpu))

    @contextmanager
    def opened(self) -> Iterator[tuple[Store, tuple[Run, ...]]]:
        """The store, open, and the run of each part: the one made here, or the newest of the study as it is
        written now.
        """
        first = self.parts[0]
        if not self.place.has_store():
            again = f"harness run {first.path} --scale {first.scale}"
            raise InputError(f"there are no results at {self.place.location}", hint=again)
        with open_store(self.place.location) as store:
            made = self._runs
            if len(made) < len(self.parts):
                setting = self._setting()
                made = {part.part: newest_run(store, part, setting) for part in self.parts} | made
            yield store, tuple(made[part.part] for part in self.parts)

    def _setting(self, *, fresh: bool = False) -> Setting:
        from harness.data.corpus import load_corpus

        return Setting(
            results=self.place.results,
            environment=self._here,
            code=code_digests().measuring,
            corpora=tuple(load_corpus(reference).digest for reference in corpora_of(*self.parts)),
            gpu=self._gpu,
            plant=self._plant,
            fresh=fresh,
        )


def this_machine(device: str) -> tuple[Environment, str | None]:
    """The environment, and the UUID of the GPU that `device` (auto, cpu or a UUID) stands for.

    Raises InputError.
    """
    here = _environment()
    return here, _gpu(device, here)


def _environment() -> Environment:
    """That of the workers: with the allocator's settings that they get, and the threads that they compute
    with.
    """
    found = environment()
    variables = {**WORKER_VARIABLES, **found.variables, "worker threads": str(worker_threads("measure"))}
    return found.model_copy(update={"variables": variables})


def _gpu(device: str, here: Environment) -> str | None:
    uuids = [gpu.uuid for gpu in here.gpus]
    if device == "cpu" or (device == "auto" and not uuids):
        return None
    if device == "auto":
        return uuids[0]
    if device not in uuids:
        raise InputError(f"no device {device!r}", hint=did_you_mean(device, ["auto", "cpu", *uuids]))
    return device
