"""`harness show`: the trials and claims of a run, or all data of one trial."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Any

from harness.cli.console import CommandOutput, parts_as_json, planted_text
from harness.experiment import Experiment, Workspace
from harness.experiment.stored_runs import find_run
from harness.store.rows import Run, TrialRow
from harness.store.store import Store, open_store
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import Plan, plan
from harness.study.planning.resolved import deciding_metrics
from harness.trial.spec import TRIAL_ID
from harness.wording import number_text

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.results import SettledClaim

_FIGURES = ("effect", "interval", "claimed")


def show_study(experiment: Experiment, output: CommandOutput) -> None:
    """The newest run of a study: every planned trial with its state, and every claim. Other programs may read
    the JSON.
    """
    with experiment.opened() as (store, runs):
        attempts = [store.trials(run, include_superseded=True) for run in runs]
        plans = [
            plan(part.drawn(run.draw, run.training_draw), store.results(run, deciding_metrics(part.study)))
            for part, run in zip(experiment.parts, runs, strict=True)
        ]
        findings = experiment.findings()
    parts: list[dict[str, Any]] = [
        {
            "run": run.id,
            "plant": run.plant,
            "progress": part.run.progress,
            "chain": {
                "head": part.run.chain.head,
                "earlier": part.run.chain.earlier,
                "problems": list(part.run.chain.problems),
            },
            "trials": _trials(planned, rows, part.values),
            "claims": [_claim(claim, part.run.progress) for claim in part.analysis.claims],
            "warnings": list(part.analysis.warnings),
            "history": [asdict(earlier) for rows in part.history.earlier.values() for earlier in rows],
        }
        for part, run, planned, rows in zip(findings, runs, plans, attempts, strict=True)
    ]
    loaded = experiment.parts
    if output.json:
        data = parts_as_json([(part.part, rows) for part, rows in zip(loaded, parts, strict=True)])
        output.data({"study": experiment.name, "scale": loaded[0].scale, **data})
        return
    for part, judged, rows in zip(loaded, findings, parts, strict=True):
        if part.part:
            output.line(f"part {part.part}")
        _print_study(part, judged.analysis.claims, rows, output)


def _claim(claim: SettledClaim, progress: str) -> dict[str, Any]:
    """The claim as data. Before the run has ended, one that lacks trials is only not known yet."""
    row = claim.row()
    if progress and row["verdict"] == "invalid":
        row |= {"verdict": "undecided", "reason": f"{progress} trials"}
    return row


def _print_study(
    part: LoadedStudy, claims: Sequence[SettledClaim], shown: dict[str, Any], output: CommandOutput
) -> None:
    """The numbers are rounded as in the report; JSON has all digits."""
    for problem in shown["chain"]["problems"]:
        output.note(f"run {shown['run']}: the store was changed after it was written: {problem}")
    if shown["plant"]:
        output.line(planted_text(shown["plant"]))
    if shown["progress"]:
        output.line(f"run {shown['run']}: {shown['progress']} trials")
    primary = part.study.primary
    for trial in shown["trials"]:
        value = trial["metrics"].get(primary)
        trial[primary] = None if value is None else number_text(value)
        trial["condition"] = " ".join(f"{factor}={level}" for factor, level in trial["condition"].items())
    columns = ["id", "purpose", "arm", "condition", "seed", "round", "state", "attempts", primary]
    output.table(shown["trials"], columns)
    texts = {claim.id: {name: getattr(claim, name) for name in _FIGURES} for claim in claims}
    rows = [claim | texts[claim["id"]] for claim in shown["claims"]]
    output.table(rows, ["id", "verdict", *_FIGURES, "n"])
    for warning in shown["warnings"]:
        output.note(f"warning: {warning}")
    if shown["history"]:
        columns = ["claim", "date", "run", "scale", "differs", "verdict", "effect", "interval", "decides"]
        output.table(shown["history"], columns)


def _trials(planned: Plan, rows: list[TrialRow], values: pd.DataFrame) -> list[dict[str, Any]]:
    attempts: dict[str, list[TrialRow]] = defaultdict(list)
    for row in rows:
        attempts[row.spec_id].append(row)
    metrics: dict[int, dict[str, float]] = defaultdict(dict)
    for trial, name, value in zip(values["trial"], values["metric"], values["value"], strict=True):
        metrics[int(trial)][str(name)] = float(value)
    shown = []
    for spec in planned.trials:
        tries = sorted(attempts.get(spec.id, []), key=lambda row: row.id)
        last = next(
            (row for row in reversed(tries) if row.state != "superseded"), tries[-1] if tries else None
        )
        shown.append(
            {
                "id": spec.id,
                "purpose": spec.purpose,
                "arm": spec.arm or None,
                "condition": spec.condition,
                "seed": spec.seed,
                "round": spec.round,
                "state": last.state if last else "planned",
                "attempts": len(tries),
                "metrics": metrics.get(last.id, {}) if last else {},
            }
        )
    return shown


def show_trial(
    what: str | None, workspace: Workspace, output: CommandOutput, *, run_id: str | None = None
) -> bool:
    """Everything that is stored about the trial with this id in the newest run that has it, or in the run
    with the id `run_id`. False if `what` is not the id of a stored trial.
    """
    if what is None or not TRIAL_ID.fullmatch(what) or not workspace.has_store():
        return False
    with open_store(workspace.location) as store:
        runs = reversed(store.runs()) if run_id is None else [find_run(store, run_id)]
        for run in runs:
            rows = store.trial(run, what)
            if rows:
                _print_trial(store, run, rows, output)
                return True
    return False


def _print_trial(store: Store, run: Run, rows: list[TrialRow], output: CommandOutput) -> None:
    ids = [row.id for row in rows]
    samples = chain.from_iterable(store.sample_pieces(store.sample_counts(ids)))
    values = (
        {"attempt": attempt, "metric": metric, "step": step, "value": math.nan if value is None else value}
        for attempt, metric, step, value in samples
    )
    checks = [asdict(row) for row in store.checks_of(ids)]
    telemetry = (asdict(row) for row in store.telemetry(ids))
    tries = [asdict(row) for row in rows]
    if output.json:
        output.document(
            {
                "run": run.id,
                "plant": run.plant,
                "attempts": tries,
                "samples": values,
                "checks": checks,
                "telemetry": telemetry,
            }
        )
        return
    if run.plant:
        output.line(planted_text(run.plant))
    for row in tries:
        for field, value in row.items():
            if value not in (None, "", {}, []):
                output.lines(f"{field}\t{value}")
    output.table(
        ({"trial_id": row.pop("attempt"), **row} for row in values), ["trial_id", "metric", "step", "value"]
    )
    if checks:
        output.table(checks, list(checks[0]))
    output.line(f"{sum(1 for _ in telemetry)} telemetry samples (--json prints them)")
