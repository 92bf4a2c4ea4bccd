"""Whether the arms did the same work: what their trials spent, compared with the baseline under each
condition.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from statistics import median

from harness.analysis.frames import RunFrames
from harness.analysis.results import ParityRow
from harness.config import canonical_json
from harness.metrics import DEFAULT_MARGINS
from harness.store.rows import TrialRow
from harness.study.loaded import LoadedStudy
from harness.tasks.work import Amount, amount_text, compared
from harness.wording import words

SECONDS, FLOPS = "seconds", "flops"
MEASURED = (FLOPS, SECONDS)
"""Always shown, but enforced only if the study lists them under `parity.match`."""

Cell = tuple[str, str]
"""Arm, condition as canonical JSON."""

Amounts = Mapping[int, dict[Amount, Amount]]
"""Seed → the amounts of one quantity that its trials spent, by what must be equal in them: a single amount if
all trials agree.
"""

ALL_SEEDS = -1
"""The key for an amount that holds for all seeds together."""


def parity_rows(loaded: LoadedStudy, frames: RunFrames) -> tuple[ParityRow, ...]:
    """The amount of every counted quantity that every arm spent, then FLOPs and seconds.

    Counted work must be equal in all trials of a seed, and in all arms for the same seed. (Seeds may differ:
    batches of sentences of similar length hold different numbers of tokens for each seed.) Seconds are the
    median over trials, without the start of the process; they match if they differ by no more than the
    study's margin for time. FLOPs come from the task's closed form if no trial counts them.

    A row shows the amounts of the first seed in which the arm differs from the baseline. If no seed differs,
    it shows the largest amount of any seed.
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
        names = {name for (_, cell_key), amounts in spent.items() if cell_key == key for name in amounts}
        baseline = spent.get((loaded.baseline.name, key), {})
        for quantity in (*sorted(names - {*MEASURED}), *(name for name in MEASURED if name in names)):
            for arm in loaded.arms:
                here = spent.get((arm.name, key), {}).get(quantity, {})
                base = baseline.get(quantity, {})
                amount, base_amount = _shown_amounts(here, base)
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


def confounds(loaded: LoadedStudy, arm: str, parity: Iterable[ParityRow]) -> Iterator[str]:
    """The first difference in work that the study does not declare."""
    for row in parity:
        if row.arm == arm and row.confounds:
            quantity = f"{words(row.quantity)}{loaded.at(row.condition)}"
            if row.spent == row.baseline_spent:
                yield f"confound: {quantity} differs between trials of the arm"
            else:
                amounts = f"{amount_text(row.spent)}, but {amount_text(row.baseline_spent)} for the baseline"
                yield f"confound: {quantity} is {amounts}"
            return


def _spent(loaded: LoadedStudy, cell: Cell, trials: list[TrialRow]) -> dict[str, Amounts]:
    """Quantity → the amounts that the trials of one arm under one condition spent."""
    amounts: dict[str, Amounts] = {}
    by_seed: dict[str, dict[int, dict[Amount, Amount]]] = defaultdict(dict)
    for trial in trials:
        for quantity, amount in trial.spent.items():
            by_seed[quantity].setdefault(trial.seed, {}).setdefault(compared(amount), amount)
    amounts.update(by_seed)
    condition = next(c for c in loaded.conditions if canonical_json(c.names) == cell[1])
    task = loaded.tasks.get((cell[0], condition.name))
    if task is not None and FLOPS not in amounts:
        amounts[FLOPS] = {ALL_SEEDS: _single(float(task.flops()))}
    times = [float(trial.notes.get("work_seconds", trial.seconds or math.nan)) for trial in trials]
    if SECONDS not in amounts and not any(math.isnan(time) for time in times):
        amounts[SECONDS] = {ALL_SEEDS: _single(median(times))}
    return amounts


def _single(amount: float) -> dict[Amount, Amount]:
    return {amount: amount}


def _match(loaded: LoadedStudy, quantity: str, arm: Amounts, baseline: Amounts) -> bool:
    if quantity != SECONDS or not arm or not baseline:
        return not _differing(arm, baseline)
    seconds, base_seconds = (float(_largest(amounts)) for amounts in (arm, baseline))
    if min(seconds, base_seconds) <= 0:
        return not _differing(arm, baseline)
    margin = loaded.study.margins.get("time", DEFAULT_MARGINS["time"])
    return abs(math.log(seconds / base_seconds)) <= math.log1p(margin)


def _differing(arm: Amounts, baseline: Amounts) -> list[int]:
    """The seeds in which the arm and the baseline did not spend the same single amount.

    A seed that diverged in one of them is left out.
    """
    shared = arm.keys() & baseline.keys()
    if not shared:  # no seed finished in both, so all amounts together must agree
        arm, baseline, shared = {ALL_SEEDS: _pooled(arm)}, {ALL_SEEDS: _pooled(baseline)}, {ALL_SEEDS}
    return sorted(seed for seed in shared if len(arm[seed]) != 1 or arm[seed].keys() != baseline[seed].keys())


def _shown_amounts(arm: Amounts, baseline: Amounts) -> tuple[Amount, Amount]:
    """The amounts of the first seed that differs, or the largest of any seed."""
    for seed in _differing(arm, baseline):
        if seed in arm and seed in baseline:
            return _largest({seed: arm[seed]}), _largest({seed: baseline[seed]})
    return _largest(arm), _largest(baseline)


def _largest(amounts: Amounts) -> Amount:
    """The largest amount, the last of fingerprints in the order of the alphabet, or 0 if there is none."""
    numbers = [amount for amount in _pooled(amounts).values() if not isinstance(amount, str)]
    texts = [amount for amount in _pooled(amounts).values() if isinstance(amount, str)]
    return max(numbers) if numbers else max(texts, default=0.0)


def _pooled(amounts: Amounts) -> dict[Amount, Amount]:
    return {key: amount for by_content in amounts.values() for key, amount in by_content.items()}
