"""Warnings: findings that a reader should know about but that invalidate nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.analysis.frames import RunFrames
from harness.analysis.results import ParityRow
from harness.analysis.trial_table import IncomparableError, TrialTable
from harness.analysis.validity.order_effects import order_warnings
from harness.config import canonical_json
from harness.invariants.registry import find_invariant
from harness.metrics import Metric, metric
from harness.statistics import drift, holm
from harness.study.loaded import LoadedStudy
from harness.study.planning.tuning import edge_warnings

DRIFT_ALPHA = 0.01
MOST_UNSTEADY = 0.1
"""The share of trials that may be unsteady: a longer warm-up would not help against occasional disturbances.
"""


def warnings(
    loaded: LoadedStudy, frames: RunFrames, table: TrialTable, parity: Iterable[ParityRow]
) -> tuple[str, ...]:
    """Every warning about a run."""
    primary = metric(loaded.study.primary)
    return (
        *drift_warnings(table, primary),
        *order_warnings(table, primary),
        *unknown_quantities(loaded, parity),
        *edge_warnings(loaded.tuned),
        *idle_warnings(loaded, frames),
        *unsteady_warnings(primary, frames),
    )


def drift_warnings(table: TrialTable, record: Metric) -> Iterator[str]:
    """Arms whose values rise or fall over the rounds: Kendall's tau, with Holm's correction over all arms and
    conditions.
    """
    if record.paired_over != "rounds":
        return
    drifts = {}
    for condition in table.loaded.conditions:
        for arm in table.loaded.arms:
            try:
                values = table.pairs(record, arm.name, condition)
            except IncomparableError:
                continue
            drifts[f"{arm.name} {condition.name}".strip()] = drift(values)
    for cell, p in holm({cell: result.p for cell, result in drifts.items()}).items():
        if p <= DRIFT_ALPHA:
            yield (
                f"{cell}: {record.label} drifts over the rounds (tau {drifts[cell].tau:+.2f}); "
                "pairing within rounds removes most of it"
            )


def unknown_quantities(loaded: LoadedStudy, parity: Iterable[ParityRow]) -> Iterator[str]:
    """Names under `parity` that no trial counts, for example because of a spelling mistake."""
    counted = sorted({row.quantity for row in parity})
    declared = loaded.study.parity
    for key, names in (("match", declared.match), ("differ", declared.differ)):
        for name in names:
            if name not in counted:
                yield (
                    f"parity.{key} names {name!r}, but no trial counts it "
                    f"(counted: {', '.join(counted) or 'nothing'})"
                )


def idle_warnings(loaded: LoadedStudy, frames: RunFrames) -> Iterator[str]:
    """Arms whose outputs are identical to the baseline's, so that their level may have no effect.

    Only for outcome studies. Cost studies expect identical outputs, and an invariant may require them for
    some arms.
    """
    if metric(loaded.study.primary).paired_over == "rounds":
        return
    outputs: dict[str, dict[tuple[str, int, int], dict[str, str]]] = {}
    for trial in frames.trials:
        if trial.purpose == "measure" and trial.status == "finished":
            key = canonical_json(trial.condition), trial.seed, trial.round
            outputs.setdefault(trial.arm, {})[key] = trial.outputs
    baseline = outputs.get(loaded.baseline.name, {})
    if not baseline or not all(baseline.values()):
        return
    for arm in loaded.arms[1:]:
        required = any(wanted_alike(loaded, arm.name, invariant) for invariant in loaded.study.invariants)
        if outputs.get(arm.name) == baseline and not required:
            yield (
                f"arm {loaded.label(arm.name)} gave exactly the baseline's outputs in "
                f"{_all_trials(len(baseline))}; its level may have no effect"
            )


def _all_trials(number: int) -> str:
    return f"all of its {number} trials" if number > 1 else "its only trial"


def wanted_alike(loaded: LoadedStudy, arm: str, invariant: str) -> bool:
    """Whether the invariant requires the arm's outputs to equal the baseline's under every condition."""
    wants = find_invariant(invariant).wants_alike
    return all(wants(task.model_dump()) for (name, _), task in loaded.tasks.items() if name == arm)


def unsteady_warnings(record: Metric, frames: RunFrames) -> Iterator[str]:
    """Timed trials that were counted before their repetitions agreed with one another.

    A trial that warms up notes whether it became `steady`.
    """
    if not record.timed:
        return
    timed = [
        trial.notes["steady"]
        for trial in frames.trials
        if trial.purpose == "measure" and trial.status == "finished" and "steady" in trial.notes
    ]
    unsteady = timed.count(False)
    if unsteady > MOST_UNSTEADY * len(timed):
        yield (
            f"{unsteady} of {len(timed)} trials were timed before their repetitions agreed with one another; "
            "allow a longer warm-up (warm_up.at_most)"
        )
