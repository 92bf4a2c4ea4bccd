"""The input of a report from a store: the rows are read back and analysed again from the raw samples."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, get_args

import numpy as np
import pandas as pd

from harness.analysis.analyse import analyse
from harness.analysis.earlier_runs import History, HistoryEnd, read_history
from harness.analysis.frames import StoredFrames, long_frame, run_frames
from harness.report.inputs import MOST_NUMBERS, ReportInput, ReportSamples, RunInfo
from harness.report.series import read_series
from harness.run.open_session import is_open
from harness.store.lost import lost_trials
from harness.store.store import study_key
from harness.study.planning.plan import Plan, plan
from harness.study.planning.resolved import deciding_metrics, resolve
from harness.study.planning.trials import keeps_begun_rounds
from harness.telemetry.process_sampler import TelemetrySample
from harness.trial.spec import Purpose

if TYPE_CHECKING:
    from harness.store.rows import Run, Session, TrialRow
    from harness.store.store import Store
    from harness.study.loaded import LoadedStudy

TELEMETRY_COLUMNS = [column.name for column in fields(TelemetrySample)]
_NOT_NUMBERS = ("source", "state", "gpu_throttling")


def report_input(
    store: Store, loaded: LoadedStudy, run: Run, until: HistoryEnd = (None, None)
) -> ReportInput:
    """Everything that a report shows about a run. Verdicts are computed again from the stored samples, and
    earlier verdicts are read up to the judgement and the declaration `until`.
    """
    judged_as = study_key(loaded.study.study, loaded.source, loaded.study.model_dump_json())
    loaded = loaded.drawn(run.draw, run.training_draw)
    results = store.results(run, deciding_metrics(loaded.study))
    frames = run_frames(store, run)
    history = read_history(store, loaded, run, frames, until)
    planned, loaded = plan(loaded, results), resolve(loaded, results)
    sessions = _sessions(store, run, frames.trials)
    return ReportInput(
        loaded=loaded,
        analysis=analyse(loaded, frames, history.standings),
        history=history,
        samples=_samples(frames),
        trials=frames.trials,
        superseded=tuple(row for row in frames.attempts if row.state == "superseded"),
        sessions=tuple(sessions),
        former=_former(store, run, history),
        telemetry=_telemetry(store, frames.trials),
        run=replace(_info(store, (loaded, planned), run, frames), study=judged_as),
        environment=run.environment,
        provenance=sessions[-1].provenance if sessions else {},
        nvml_reason=next((row.nvml_reason for row in frames.trials if row.nvml_reason), None),
        command=shlex.join(_command("run", loaded, run, ("--fresh",))),
        sentences=frames.sentences,
        recorded=read_series(frames),
        calibration=store.calibration(run.environment_digest, before=sessions[0]) if sessions else None,
    )


def _telemetry(store: Store, trials: Iterable[TrialRow]) -> pd.DataFrame:
    """The telemetry of the trials, with NaN for numbers that could not be read."""
    pieces = [pd.DataFrame(columns=["trial", *TELEMETRY_COLUMNS])]
    for rows in store.telemetry_pieces((trial.id for trial in trials), TELEMETRY_COLUMNS):
        numbers, _, *columns = zip(*rows, strict=True)
        values = {
            name: pd.Series(column, dtype=object if name in _NOT_NUMBERS else np.float64)
            for name, column in zip(TELEMETRY_COLUMNS, columns, strict=True)
        }
        pieces.append(pd.DataFrame({"trial": numbers, **values}))
    return pd.concat(pieces[1:] or pieces, ignore_index=True)


def _samples(frames: StoredFrames) -> ReportSamples:
    """The samples that a report lists. Raw samples are read only if they fit into its tables."""
    total = sum(sum(by_trial.values()) for by_trial in frames.counts.values())
    others = [purpose for purpose in get_args(Purpose) if purpose != "measure"]
    return ReportSamples(
        measured=frames.measured,
        before=frames.values(*others),
        raw=long_frame(frames.store, frames.trials) if total <= MOST_NUMBERS else None,
        total=total,
    )


def with_search(
    store: Store, proof: ReportInput, runs: tuple[Run, Run], options: Sequence[str] = ()
) -> ReportInput:
    """The input of the report of a search: that of its proof, and what the search found. `runs` are those of
    the search and of the proof. `options` are the words of the command that changed the search of the study.
    """
    from harness.search.findings import proven_findings

    findings = proven_findings(store, *runs, judgement=proof.history.until[0])
    words = _command("search", proof.loaded, runs[1], ("--trials", str(len(findings.points)), *options))
    return replace(proof, search=findings, command=shlex.join(words))


def _sessions(store: Store, run: Run, trials: tuple[TrialRow, ...]) -> list[Session]:
    """The sessions that measured a trial, oldest first. If nothing was measured, all sessions."""
    measured = {row.session_id for row in trials if row.purpose == "measure" and row.status == "finished"}
    sessions = store.sessions(run)
    return [session for session in sessions if session.id in measured] or list(sessions)


def _former(store: Store, run: Run, history: History) -> tuple[Run, ...]:
    """The other runs whose verdicts the history has, as they were created."""
    judged = {one.run for verdicts in history.earlier.values() for one in verdicts} - {run.id}
    return tuple(sorted((one for one in store.runs() if one.id in judged), key=lambda one: one.number))


def _info(store: Store, study: tuple[LoadedStudy, Plan], run: Run, frames: StoredFrames) -> RunInfo:
    (loaded, planned), trials = study, frames.trials
    finished = {row.spec_id for row in trials if row.status == "finished"}
    # A model that another study trained is not trained again. Its training counts as finished as soon as
    # something was measured with it.
    measured = any(row.purpose != "train" and row.status == "finished" for row in trials)
    done = sum(spec.id in finished or (spec.purpose == "train" and measured) for spec in planned.trials)
    # A lead-in is not needed once its round has finished. Older versions had none.
    done += sum(
        batch.opening.id not in finished and finished.issuperset(spec.id for spec in batch.trials)
        for batch in planned.batches
        if batch.opening is not None
    )
    lost = {row.spec_id for row in lost_trials(frames.attempts)} if keeps_begun_rounds(loaded) else set()
    done += len(lost)
    failed = {
        row.spec_id: row
        for row in trials
        if row.status == "failed" and row.spec_id not in finished | lost and row.purpose != "lead-in"
    }
    return RunInfo(
        id=run.id,
        scale=run.scale,
        study_digest=run.study_digest,
        code_digest=run.code_digest,
        created_at=run.created_at,
        sessions=len(store.sessions(run)),
        plant=run.plant,
        expected_trials=len(planned.trials),
        finished_trials=done,
        superseded_trials=sum(row.status == "superseded" for row in frames.attempts),
        failed=[
            *(f"{_title(loaded, row)}: {row.failure}" for row in failed.values()),
            *_diverged(trials),
        ],
        chain=frames.chain,
        running=any(map(is_open, store.sessions(run))),
    )


def _diverged(trials: tuple[TrialRow, ...]) -> list[str]:
    """Trainings that diverged, so that there is no model to measure."""
    return [
        f"training (seed {row.seed}) diverged after {row.spent['updates']:g} updates, "
        "so there is no model to measure"
        for row in trials
        if row.purpose == "train" and row.notes.get("diverged")
    ]


def _title(loaded: LoadedStudy, row: TrialRow) -> str:
    return loaded.names.attempt((row.task,), row.arm, row.condition, row.seed, row.round)


def _command(name: str, loaded: LoadedStudy, run: Run, options: Sequence[str]) -> list[str]:
    words = ["harness", name, str(loaded.path), "--scale", run.scale, *options]
    words += [word for setting in loaded.settings for word in ("--set", setting)]
    return [*words, "--plant", run.plant] if run.plant else words
