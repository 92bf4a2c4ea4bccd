"""Whether arms did the same work: what their trials spent, condition by condition, against the baseline's."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from statistics import median
from typing import TYPE_CHECKING

from harness.analysis.frames import RunFrames
from harness.analysis.results import ParityRow
from harness.config import canonical_json
from harness.metrics import DEFAULT_MARGINS
from harness.study.loaded import LoadedStudy
from harness.wording import at_condition, words

if TYPE_CHECKING:
    from harness.store.rows import TrialRow

SECONDS, FLOPS = "seconds", "flops"
MEASURED = (FLOPS, SECONDS)
"""Shown always, enforced only where the study's `parity.match` names them."""

Cell = tuple[str, str]
"""Arm, condition as canonical JSON."""

Amounts = Mapping[int, set[float]]
"""Seed → the amounts of one quantity that its trials spent, one where all agree."""

ALL_SEEDS = -1
"""The key of what is known of all seeds together."""


def parity_rows(loaded: LoadedStudy, frames: RunFrames) -> tuple[ParityRow, ...]:
    """What every arm spent of every quantity that is counted, then FLOPs and seconds.

    Counted work must be equal in all trials of a seed, and in all arms for the same seed: batches of like
    length hold other numbers of tokens for each seed. Seconds are the median over the trials of what the work
    took, process start excluded; they match within the study's margin for time. FLOPs are the task's closed
    form where no trial counts them.

    What a row tells as spent is of the first seed in which the arm differs from the baseline, else the most
    of any seed.
    """
    cells: dict[Cell, list[TrialRow]] = defaultdict(list)
    for trial in frames.trials:
        # A training that diverged stopped early: that is its outcome, not a different budget.
        if trial.purpose == "measure" and trial.status == "finished" and not trial.notes.get("diverged"):
            cells[trial.arm, canonical_json(trial.condition)].append(trial)
    spent = {cell: _spent(loaded, cell, trials) for cell, trials in cells.items()}
    rows = []
    for condition in loaded.conditions:
        key = canonical_json(condition.names)
        found = {name for (_, place), amounts in spent.items() if place == key for name in amounts}
        baseline = spent.get((loaded.baseline.name, key), {})
        for quantity in (*sorted(found - {*MEASURED}), *(name for name in MEASURED if name in found)):
            for arm in loaded.arms:
                own = spent.get((arm.name, key), {})
                here, base = own.get(quantity, {}), baseline.get(quantity, {})
                amount, base_amount = _told(here, base)
                rows.append(
                    ParityRow(
                        quantity=quantity,
                        arm=arm.name,
                        condition=condition.names,
                        baseline_spent=base_amount,
                        spent=amount,
                        declared=quantity in loaded.study.parity.differ,
                        enforced=quantity not in MEASURED or quantity in loaded.study.parity.match,
                        matches=not spent.keys() >= {(arm.name, key), (loaded.baseline.name, key)}
                        or _match(loaded, quantity, here, base),
                    )
                )
    return tuple(rows)


def confounds(arm: str, parity: Iterable[ParityRow]) -> Iterator[str]:
    """The first difference that the study does not declare, in words."""
    for row in parity:
        if row.arm == arm and row.confounds:
            name, place = words(row.quantity), at_condition(row.condition)
            if row.spent == row.baseline_spent:
                yield f"confounded: {name}{place} differs between its own trials"
            else:
                yield f"confounded: {name}{place} is {row.spent:,.15g} against the baseline's {row.baseline_spent:,.15g}"
            return


def unknown_quantities(loaded: LoadedStudy, parity: Iterable[ParityRow]) -> tuple[str, ...]:
    """A misspelt quantity would excuse nothing, or hold nothing equal, in silence."""
    counted = sorted({row.quantity for row in parity})
    declared = loaded.study.parity
    return tuple(
        f"parity.{key} names {name!r}, which no trial counts (counted: {', '.join(counted) or 'nothing'})"
        for key, names in (("match", declared.match), ("differ", declared.differ))
        for name in names
        if name not in counted
    )


def _spent(loaded: LoadedStudy, cell: Cell, trials: list[TrialRow]) -> dict[str, dict[int, set[float]]]:
    """Quantity → what the trials of a cell spent of it."""
    amounts: dict[str, dict[int, set[float]]] = defaultdict(dict)
    for trial in trials:
        for quantity, amount in trial.spent.items():
            amounts[quantity].setdefault(trial.seed, set()).add(amount)
    condition = next(place for place in loaded.conditions if canonical_json(place.names) == cell[1])
    task = loaded.tasks.get((cell[0], condition.name))
    if task is not None and FLOPS not in amounts:
        amounts[FLOPS] = {ALL_SEEDS: {float(task.flops())}}
    times = [float(trial.notes.get("work_seconds", trial.seconds or math.nan)) for trial in trials]
    if SECONDS not in amounts and not any(math.isnan(time) for time in times):
        amounts[SECONDS] = {ALL_SEEDS: {median(times)}}
    return amounts


def _match(loaded: LoadedStudy, quantity: str, own: Amounts, baseline: Amounts) -> bool:
    if quantity != SECONDS or not own or not baseline or min(_pooled(own) | _pooled(baseline)) <= 0:
        return not _differing(own, baseline)
    margin = loaded.study.margins.get("time", DEFAULT_MARGINS["time"])
    return abs(math.log(max(_pooled(own)) / max(_pooled(baseline)))) <= math.log1p(margin)


def _differing(own: Amounts, baseline: Amounts) -> list[int]:
    """The seeds in which they did not spend one same amount.

    One that diverged in an arm is compared in none.
    """
    shared = own.keys() & baseline.keys()
    if not shared:  # no seed came through in both: then all that did must agree
        own, baseline, shared = {ALL_SEEDS: _pooled(own)}, {ALL_SEEDS: _pooled(baseline)}, {ALL_SEEDS}
    return sorted(seed for seed in shared if len(own[seed]) != 1 or own[seed] != baseline[seed])


def _told(own: Amounts, baseline: Amounts) -> tuple[float, float]:
    """The amounts of the first seed that differs, else the most of any seed."""
    for seed in _differing(own, baseline):
        if seed in own and seed in baseline:
            return max(own[seed]), max(baseline[seed])
    return max(_pooled(own), default=0.0), max(_pooled(baseline), default=0.0)


def _pooled(amounts: Amounts) -> set[float]:
    return set().union(*amounts.values())
