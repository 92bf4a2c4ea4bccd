"""Warnings: findings that a reader should know about but that invalidate nothing."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator

import pandas as pd

from harness.analysis.frames import RunFrames
from harness.analysis.results import ALPHA, ParityRow
from harness.analysis.trial_table import IncomparableError, TrialTable
from harness.analysis.validity.order_effects import order_warnings
from harness.analysis.validity.peak_speed import low_peak_warnings
from harness.analysis.validity.voids import void_warnings
from harness.config import canonical_json
from harness.invariants.registry import find_invariant
from harness.metrics import Metric, metric
from harness.statistics import drift, holm, mcnemar
from harness.study.arm_settings import changed_by_levels
from harness.study.dotted_paths import value_at
from harness.study.loaded import LoadedStudy
from harness.study.planning.tuning import edge_warnings
from harness.wording import count

OPTIMIZERS = ("optimizer.kind", "model.train.optimizer.kind")
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
        *edge_warnings(loaded),
        *idle_warnings(loaded, frames),
        *unsteady_warnings(primary, frames),
        *low_peak_warnings(loaded, frames),
        *bundled_warnings(loaded),
        *untuned_warnings(loaded),
        *unknown_texts(loaded, frames),
        *lost_warnings(loaded, table),
        *void_warnings(loaded, frames),
        *set_aside_warnings(loaded, table, frames),
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
            known = {number: value for number, value in values.items() if not math.isnan(value)}
            if known:
                drifts[table.loaded.names.trial((), arm.name, condition.names)] = drift(known)
    for cell, p in holm({cell: result.p for cell, result in drifts.items()}).items():
        if p <= DRIFT_ALPHA:
            yield (
                f"{cell}: {record.label} drifts over the rounds (tau {drifts[cell].tau:+.2f}); "
                "pairing within rounds removes most of it"
            )


def lost_warnings(loaded: LoadedStudy, table: TrialTable) -> Iterator[str]:
    """Rounds that count and were interrupted after a value had been measured."""
    lost = [(number, seed) for *_, number, seed in table.without_value if number not in table.void]
    rounds = set(lost)
    if rounds:
        measurements = count(len(lost), "measurement")
        yield (
            f"{count(len(rounds), 'round')} of {loaded.study.design.rounds * loaded.study.design.seeds} were "
            f"interrupted after a value had been measured; {measurements} are lost, and each of them counts "
            "as the value least favourable to a claim"
        )


def set_aside_warnings(loaded: LoadedStudy, table: TrialTable, frames: RunFrames) -> Iterator[str]:
    """Values of the primary metric that were measured and do not count, against those that count."""
    record = metric(loaded.study.primary)
    counted = table.values[table.values["metric"] == record.name]
    measured = frames.measured[frames.measured["metric"] == record.name]
    values = measured[~measured["trial"].isin(counted["trial"])]
    superseded = frames.set_aside(record.name)
    if len(superseded):
        values = pd.concat([values, superseded])
    if values.empty:
        return
    for arm in loaded.arms:
        aside = values.loc[values["arm"] == arm.name, "value"]
        others = counted.loc[counted["arm"] == arm.name, "value"]
        if len(aside):
            yield (
                f"{count(len(aside), 'value')} of {record.label} of {loaded.label(arm.name)} "
                f"{'was' if len(aside) == 1 else 'were'} measured and set aside (median "
                f"{record.format(float(aside.median()))}); the median of the {len(others)} values that count "
                f"is {record.format(float(others.median()))}"
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


def bundled_warnings(loaded: LoadedStudy) -> Iterator[str]:
    """Levels that change several settings at once, one warning per factor."""
    levels: dict[str, dict[str, None]] = {}
    settings: dict[str, dict[str, None]] = {}
    for arm in loaded.arms[1:] if loaded.tasks else ():
        for factor, level, changed in changed_by_levels(loaded, arm):
            if len(changed) > 1:
                levels.setdefault(factor, {})[level] = None
                settings.setdefault(factor, {}).update(dict.fromkeys(changed))
    names = loaded.names
    for factor, changing in levels.items():
        many = len(changing) > 1
        shown = ", ".join(names.bare_level(factor, level) for level in changing)
        yield (
            f"level{'s' if many else ''} {shown} of {names.factor(factor)} change{'' if many else 's'} "
            f"several settings at once ({', '.join(settings[factor])}), so an effect may come from any of "
            "them"
        )


def untuned_warnings(loaded: LoadedStudy) -> Iterator[str]:
    """Optimizers that are compared on what they learn, with learning rates that were not tuned."""
    names = {
        path: dict.fromkeys(str(value_at(task.plain(), path)) for task in loaded.tasks.values())
        for path in OPTIMIZERS
    }
    tune = loaded.study.design.tune
    tuned = tune is not None and any(path.endswith("optimizer.lr") for path in tune.settings)
    primary, claims = loaded.study.primary, loaded.study.claims.values()
    compared = [primary, *(name for claim in claims for name in claim.metrics(primary))]
    for kinds in names.values():
        if len(kinds) > 1 and not tuned and not all(metric(name).timed for name in compared):
            yield (
                f"optimizers are compared ({', '.join(kinds)}) with learning rates that were not tuned, so a "
                "difference may come from the learning rates; `design.tune` finds the best one of each arm"
            )


def unknown_texts(loaded: LoadedStudy, frames: RunFrames) -> Iterator[str]:
    """Trials of an older version did not record on which texts they were measured."""
    expected = {
        quantity
        for task in loaded.tasks.values()
        for quantity, amount in task.expected_work().items()
        if isinstance(amount, str)
    }
    measured = [t for t in frames.trials if t.purpose == "measure" and t.state == "finished" and t.spent]
    if expected and measured and not any(expected & trial.spent.keys() for trial in measured):
        yield (
            "the trials are of an older version, which did not record the texts that they were measured on, "
            "so the texts of the arms were not compared"
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

    A trial that warms up notes whether it became `steady`. If the first of its repetitions is not slower than
    the last one more often than by chance, a longer warm-up would not help: the machine is noisy.
    """
    if not record.timed:
        return
    timed = [
        trial
        for trial in frames.trials
        if trial.purpose == "measure" and trial.status == "finished" and "steady" in trial.notes
    ]
    unsteady = [trial.id for trial in timed if not trial.notes["steady"]]
    if len(unsteady) > MOST_UNSTEADY * len(timed):
        advice = "allow a longer warm-up (warm_up.at_most)"
        if not _become_faster(record, frames, unsteady):
            advice = (
                "they differ, but do not become faster, so the machine is noisy, and a longer warm-up would "
                "not help; the arms are compared within rounds, so this costs precision only"
            )
        yield (
            f"{len(unsteady)} of {len(timed)} trials were timed before their repetitions agreed with one "
            f"another; {advice}"
        )


def _become_faster(record: Metric, frames: RunFrames, trials: Collection[int]) -> bool:
    """Whether in these trials the first repetition is slower than the last one more often than by chance
    (exact binomial test). True for trials with one repetition, which say nothing about it.
    """
    curve = frames.curve(record.name)
    values = curve[curve["trial"].isin(trials)].groupby("trial")["value"]
    gain = values.last() - values.first() if record.better == "higher" else values.first() - values.last()
    if not len(gain) or (values.size() == 1).all():
        return True
    gains = dict(enumerate(gain.tolist()))
    test = mcnemar(
        {key: value > 0 for key, value in gains.items()}, {key: value < 0 for key, value in gains.items()}
    )
    return test.only_arm > test.only_baseline and test.p <= ALPHA
