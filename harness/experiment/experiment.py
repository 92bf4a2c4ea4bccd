"""An experiment: from the file of a study to its run, samples, verdicts and report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from harness.errors import InputError, did_you_mean
from harness.experiment.corpora import check_installed, check_texts, corpora_of, fetch_corpora
from harness.experiment.declaring import DeclaredStudy, declare_claims, declare_study
from harness.experiment.devices import check_devices
from harness.experiment.measurable import NotMeasured, check_measured, not_measured
from harness.experiment.own_metrics import with_declared_metrics, with_records
from harness.experiment.programs import check_programs_allowed, store_programs
from harness.experiment.report_name import report_name
from harness.experiment.workspace import Workspace
from harness.machine.code_digest import code_digests
from harness.machine.environment import Environment, usable_cores
from harness.run.driver import Driver
from harness.run.identity import Setting, environment_digest, identity, newest_run
from harness.run.listener import Listener
from harness.run.programme import NewSeedsProgramme, Programme, StudyProgramme
from harness.store.rows import Artifact, AttemptNow, CalibrationRow, JudgedClaim, Run, VerdictRow
from harness.store.store import Store, open_store
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import longest_plan
from harness.telemetry.nvml import library_exists

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.results import Analysis
    from harness.experiment.figures import ReportFigures
    from harness.metrics import Metric
    from harness.report.inputs import ReportInput
    from harness.run.backends.base import Backend


class Experiment:
    """A study at one scale on one device, with its results in one workspace. `parts` are its parts.

    `declared` are the parts at all scales. Their claims are recorded together, so that a first run at a small
    scale makes no claim of another scale late. With `new_seeds`, no run has the seeds of the first draw.
    """

    def __init__(
        self,
        parts: tuple[LoadedStudy, ...],
        here: Environment,
        *,
        workspace: Workspace,
        gpu: str | None,
        plant: str | None,
    ) -> None:
        self.parts, self.workspace = parts, workspace
        self.declared: tuple[LoadedStudy, ...] = ()
        self._here, self._gpu, self._plant = here, gpu, plant
        self._runs: dict[str, Run] = {}
        self._analysed: tuple[list[list[AttemptNow]], tuple[ReportInput, ...]] | None = None
        self._open: tuple[Store, tuple[Run, ...]] | None = None
        self.allow_commands, self.new_seeds = False, False

    @property
    def records(self) -> dict[str, Metric]:
        """The records of the metrics that the study declares."""
        return {name: record for part in self.parts for name, record in part.study.records.items()}

    @property
    def name(self) -> str:
        """The name of the study."""
        return self.parts[0].name

    @property
    def report_title(self) -> str:
        """With what the name of the report's file begins."""
        return self.name

    @property
    def report_file(self) -> str:
        """The name of the report's file."""
        first = self.parts[0]
        return report_name(self.report_title, first.scale, first.settings, plant=self._plant)

    @property
    def missing_gpu(self) -> str | None:
        """Why no GPU is used, if this machine has NVIDIA's library, so that it should have a GPU."""
        if self._gpu is not None or self._here.nvml_reason is None or not library_exists():
            return None
        return f"no GPU can be used: {self._here.nvml_reason}"

    @property
    def local_slots(self) -> int:
        """How many trials that are not timed run side by side on this machine: one on a GPU."""
        return usable_cores() if self._gpu is None else 1

    @with_declared_metrics
    def not_measured(self, part: LoadedStudy) -> list[NotMeasured]:
        """What this machine cannot measure of a part."""
        return list(not_measured(part, self._gpu))

    @with_declared_metrics
    def run(
        self, *, fresh: bool = False, retry_failed: bool = False, listener: Listener | None = None
    ) -> Self:
        """Run the missing trials of each part. With `fresh`, start a new run of each part. With
        `retry_failed`, run those again that failed by themselves in an earlier call.

        The call can be interrupted and repeated; it continues where it stopped.
        """
        listener = listener or Listener()
        check_programs_allowed(self.parts, allowed=self.allow_commands)
        check_measured(self.parts, self._gpu, listener.note)
        check_devices(self.parts, self._gpu)
        if self.missing_gpu:
            listener.note(self.missing_gpu)
        setting = prepared(
            self.workspace,
            partial(self.setting, fresh=fresh, retry_failed=retry_failed),
            listener,
            *self.parts,
        )
        with trial_machinery(self.workspace, self._gpu) as (store, backend):
            store_programs(self.parts, self.workspace.results)
            self._declare_claims(store)
            if fresh:
                self._judge_the_last_run(store, setting)
            plans = tuple(longest_plan(part).trials for part in self.parts)
            listener.parts(tuple(map(len, plans)), plans)
            drivers = {
                part.part: Driver(
                    self.programme(part), setting, store=store, backend=backend, listener=listener
                )
                for part in self.parts
            }
            for driver in drivers.values():
                driver.check()
            for part, driver in drivers.items():
                self._runs[part] = driver.run()
        return self

    def programme(self, part: LoadedStudy) -> Programme:
        """What the driver of a part runs."""
        if self.new_seeds:
            return NewSeedsProgramme(part)
        tune = part.study.design.tune
        if tune is None or tune.search is None:
            return StudyProgramme(part)
        from harness.search.tuning import next_candidates

        return StudyProgramme(part, next_candidates)

    @with_declared_metrics
    def frame(self) -> pd.DataFrame:
        """One row per raw sample: arm, condition, seed, round, metric, step, value and unit, and the name of
        the part if there are several. Each factor under `across` has a column with the values of its levels.
        """
        import pandas as pd

        from harness.analysis.frames import long_frame
        from harness.experiment.result_tables import with_level_values

        with self.opened() as (store, runs):
            frames = [
                with_level_values(long_frame(store, store.trials(run)), part)
                for part, run in zip(self.parts, runs, strict=True)
            ]
        if len(frames) == 1:
            return frames[0]
        for part, frame in zip(self.parts, frames, strict=True):
            frame.insert(0, "part", part.part)
        return pd.concat(frames, ignore_index=True)

    def frame_pieces(self) -> Iterator[pd.DataFrame]:
        """The rows of `frame` in pieces of a bounded size, each with all of its columns."""
        return with_records(self.records, self._frame_pieces())

    def _frame_pieces(self) -> Iterator[pd.DataFrame]:
        from harness.analysis.frames import frame_columns, frame_pieces

        with self.opened() as (store, runs):
            trials = [store.trials(run) for run in runs]
            columns = dict.fromkeys(name for rows in trials for name in frame_columns(rows))
            for part, rows in zip(self.parts, trials, strict=True):
                others = dict.fromkeys(columns.keys() - frame_columns(rows))
                for piece in frame_pieces(store, rows):
                    if len(runs) == 1:
                        yield piece
                    else:
                        yield piece.assign(part=part.part, **others)[["part", *columns]]

    @with_declared_metrics
    def findings(self) -> tuple[ReportInput, ...]:
        """Everything that a report shows, for each part. It is computed from the stored samples, and again
        only if the trials in the store have changed.
        """
        from harness.report.source import report_input

        with self.opened() as (store, runs):
            self._declare_claims(store)
            now = [store.attempts_now(run) for run in runs]
            if self._analysed is None or self._analysed[0] != now:
                pairs = zip(self.parts, runs, strict=True)
                self._analysed = now, tuple(report_input(store, part, run) for part, run in pairs)
        return self._analysed[1]

    @with_declared_metrics
    def judge(self) -> tuple[ReportInput, ...]:
        """Compute the findings and store the verdict on every claim."""
        with self.opened() as (store, runs):
            findings = self.findings()
            for part, judged, run in zip(self.parts, findings, runs, strict=True):
                _record(store, part, judged, run)
        return findings

    def history(self) -> pd.DataFrame:
        """One row per earlier verdict on a claim, of this study or of any run with the same claim: claim,
        run, date, scale, what differs, the verdict and its figures, whether it was late, whether its values
        were new (`look`), and whether it decides the claim. The oldest come first.
        """
        import pandas as pd

        from harness.analysis.earlier_runs import EarlierVerdict

        rows = [
            asdict(verdict)
            for part in self.findings()
            for verdicts in part.history.earlier.values()
            for verdict in verdicts
        ]
        return pd.DataFrame(rows, columns=[field.name for field in fields(EarlierVerdict)])

    @with_declared_metrics
    def declare(self) -> DeclaredStudy:
        """Record a digest of all that the study declares, to be given to somebody else before the data."""
        self.workspace.check_writable()
        with open_store(self.workspace.location) as store:
            self._declare_claims(store)
            return declare_study(store, self.parts)

    def _declare_claims(self, store: Store) -> None:
        declare_claims(store, (*self.parts, *self.declared))

    def _judge_the_last_run(self, store: Store, setting: Setting) -> None:
        """Judge the run before a fresh one, if nobody has, so that its verdict is known when it decides."""
        from harness.report.source import report_input

        for part in self.parts:
            last = store.find_run(identity(part, setting))
            if last is None:
                continue
            judged = store.judgements(part.study.study, ())
            if not any(row.run_id == last.id and row.complete for row in judged):
                _record(store, part, report_input(store, part, last), last)

    def analysis(self, part: str = "") -> Analysis:
        """The contrasts, claims and invalid arms of a part. A study without parts has one part, whose name is
        empty.

        Raises InputError if there is no such part.
        """
        names = [known.part for known in self.parts]
        if part not in names:
            raise InputError(
                f"{self.name} has no part {part!r}", hint=did_you_mean(part, filter(None, names))
            )
        return self.findings()[names.index(part)].analysis

    def verdicts(self) -> pd.DataFrame:
        """One row per claim: its id and its source, the verdict, the effect with its interval and its unit,
        the number of pairs, the claimed figure and its region, and the reason in a sentence.
        """
        from harness.experiment.result_tables import verdict_table

        return verdict_table(self.findings())

    @with_declared_metrics
    def contrasts(self) -> pd.DataFrame:
        """One row per metric, arm and condition, compared with the baseline: the sources of the claims about
        it, the medians, the effect with its interval and its unit, the number of pairs, the margin and the
        region of effects that do not matter, p, the verdict, and the reason in a sentence.
        """
        from harness.experiment.result_tables import contrast_table

        return contrast_table(self.findings())

    @with_declared_metrics
    def plot(self) -> ReportFigures:
        """The figures of the report by their titles, as figures of Matplotlib. A notebook shows them."""
        from harness.experiment.figures import report_figures

        return report_figures(self.findings())

    def __repr__(self) -> str:
        first = self.parts[0]
        return f"{type(self).__name__}({self.name!r}, scale={first.scale!r}: {first.study.question!r})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the question, the answers, and the verdicts, once there are results."""
        from harness.experiment.result_tables import results_html

        try:
            findings = self.findings()
        except InputError as error:
            return results_html(self.parts[0].study.question, (), str(error))
        return results_html(self.parts[0].study.question, findings)

    @with_declared_metrics
    def report(self) -> Path:
        """Judge the run, write the HTML report and return its path."""
        from harness.report.build import write_report

        path = self.workspace.reports / self.report_file
        self.workspace.check_writable()
        with self.opened() as (store, runs):
            self.workspace.reports.mkdir(parents=True, exist_ok=True)
            write_report(self.judge(), path)
            sha256, full_path = hashlib.sha256(path.read_bytes()).hexdigest(), str(path.resolve())
            for run in runs:
                store.record_artifact(
                    Artifact(kind="report", content_id=run.id, sha256=sha256, path=full_path, run_id=run.id)
                )
        return path

    def calibration(self) -> CalibrationRow | None:
        """The last calibration of this machine. None if it has not been calibrated."""
        if not self.workspace.has_store():
            return None
        with open_store(self.workspace.location) as store:
            return store.calibration(environment_digest(self._here, self._gpu))

    @contextmanager
    def opened(self) -> Iterator[tuple[Store, tuple[Run, ...]]]:
        """The open store and the run of each part: the run that this object made, or else the newest run of
        the study in its present form. Inside of this context, it gives the same store and runs again.

        Raises InputError if there are no results.
        """
        if self._open is not None:
            yield self._open
            return
        first = self.parts[0]
        self.workspace.check_exists(hint=f"start with `harness run {first.path} --scale {first.scale}`")
        with open_store(self.workspace.location) as store:
            made = self._runs
            if len(made) < len(self.parts):
                setting = self.setting()
                made = {part.part: newest_run(store, part, setting) for part in self.parts} | made
            self._open = store, tuple(made[part.part] for part in self.parts)
            try:
                yield self._open
            finally:
                self._open = None

    def setting(self, *, fresh: bool = False, retry_failed: bool = False) -> Setting:
        """Where and on what the study runs, with the present content of its corpora."""
        from harness.data.corpus import load_corpus

        return Setting(
            results=self.workspace.results,
            environment=self._here,
            code=code_digests().measuring,
            corpora=tuple(load_corpus(reference).digest for reference in corpora_of(*self.parts)),
            gpu=self._gpu,
            plant=self._plant,
            fresh=fresh,
            retry_failed=retry_failed,
        )


def prepared(
    workspace: Workspace, setting: Callable[[], Setting], listener: Listener, *parts: LoadedStudy
) -> Setting:
    """The setting of a run, once everything is there that its trials need. Corpora are downloaded.

    Raises InputError or CorpusError if something is missing.
    """
    workspace.check_writable()
    check_installed(*parts)
    fetch_corpora(corpora_of(*parts), listener.fetching)
    check_texts(*parts)
    return setting()


@contextmanager
def trial_machinery(workspace: Workspace, gpu: str | None) -> Iterator[tuple[Store, Backend]]:
    """The open store, and what runs trials. The backend comes first, so that nothing is written if it cannot
    be used.
    """
    with (
        workspace.backend.opened(gpu=gpu, results=workspace.results) as backend,
        open_store(workspace.location) as store,
    ):
        yield store, backend


def _record(store: Store, part: LoadedStudy, judged: ReportInput, run: Run) -> None:
    """Store the verdicts on the claims of a part, and the text of the study by which they were judged."""
    code, history = code_digests().judging, judged.history
    store.record_study(part.study.study, part.source, part.study.model_dump_json())
    rows, judgements = [], []
    for claim in judged.analysis.claims:
        row = claim.row()
        rows.append(VerdictRow(claim=row.pop("id"), **row, basis=claim.stored_basis(), code_digest=code))
        judgements.append(
            JudgedClaim(
                run_id=run.id,
                claim=claim.id,
                claim_digest=history.digests[claim.id],
                verdict=claim.verdict,
                alone=claim.alone_verdict,
                late=claim.late,
                complete=judged.run.finished_trials >= judged.run.expected_trials,
                effect=claim.effect,
                interval=claim.interval,
                values_digest=history.values[claim.id],
                code_digest=code,
            )
        )
    store.record_verdicts(run, rows)
    store.record_judgements(run, judgements)
