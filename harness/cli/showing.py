"""`harness show`: the trials and claims of a run, or everything about one trial."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.cli.console import Output
from harness.experiment import Experiment, Place
from harness.study.plan import plan

if TYPE_CHECKING:
    import pandas as pd

    from harness.store.rows import Run, TrialRow
    from harness.store.store import Store

TRIAL_ID = re.compile(r"[0-9a-f]{16}")


def show_study(experiment: Experiment, output: Output) -> None:
    """The newest run of a study: every planned trial with its state, and every claim. The JSON is a contract."""
    with experiment.opened() as (store, run):
        rows = store.trials(run, include_superseded=True)
        found = experiment.findings()
    trials = _trials(experiment, rows, found.values)
    claims = [claim.row() for claim in found.analysis.claims]
    if output.json:
        study = experiment.loaded.study.study
        output.data(
            {
                "study": study,
                "scale": run.scale,
                "run": run.id,
                "trials": _finite(trials),
                "claims": _finite(claims),
            }
        )
        return
    primary = experiment.loaded.study.primary
    for trial in trials:
        trial[primary] = trial["metrics"].get(primary)
        trial["condition"] = " ".join(f"{factor}={level}" for factor, level in trial["condition"].items())
    output.table(trials, ["id", "purpose", "arm", "condition", "seed", "round", "state", "attempts", primary])
    output.table(claims, ["id", "verdict", "effect", "low", "high", "n", "claimed"])


def _trials(experiment: Experiment, rows: list[TrialRow], values: pd.DataFrame) -> list[dict[str, Any]]:
    attempts: dict[str, list[TrialRow]] = defaultdict(list)
    for row in rows:
        attempts[row.spec_id].append(row)
    metrics: dict[int, dict[str, float]] = defaultdict(dict)
    for trial, name, value in zip(values["trial"], values["metric"], values["value"], strict=True):
        metrics[int(trial)][str(name)] = float(value)
    shown = []
    for spec in plan(experiment.loaded).trials:
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


def show_trial(what: str, place: Place, output: Output) -> bool:
    """Everything that is stored about the trial with this id; False where it is no trial's id, or there is none."""
    from harness.store.store import open_store

    if not TRIAL_ID.fullmatch(what) or not place.has_store():
        return False
    with open_store(place.location) as store:
        for run in sorted(store.runs(), key=lambda run: run.created_at, reverse=True):
            rows = [row for row in store.trials(run, include_superseded=True) if row.spec_id == what]
            if rows:
                _print_trial(store, run, rows, output)
                return True
    return False


def _print_trial(store: Store, run: Run, rows: list[TrialRow], output: Output) -> None:
    ids = {row.id for row in rows}
    samples = [row for row in store.samples(run, include_superseded=True) if row.trial_id in ids]
    checks = [asdict(row) for row in store.checks(run, include_superseded=True) if row.trial_id in ids]
    telemetry = [asdict(row) for row in store.telemetry(run, include_superseded=True) if row.trial_id in ids]
    tries = [asdict(row) for row in rows]
    if output.json:
        values = [
            {"attempt": row.trial_id, "metric": row.metric, "step": row.step, "value": row.value}
            for row in samples
        ]
        output.data(
            _finite(
                {
                    "run": run.id,
                    "attempts": tries,
                    "samples": values,
                    "checks": checks,
                    "telemetry": telemetry,
                }
            )
        )
        return
    for row in tries:
        for field, value in row.items():
            if value not in (None, "", {}, []):
                output.line(f"{field}\t{value}")
    output.table([row._asdict() for row in samples], ["trial_id", "metric", "step", "value"])
    if checks:
        output.table(checks, list(checks[0]))
    output.line(f"{len(telemetry)} telemetry samples; --json shows them")


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become the words."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value
