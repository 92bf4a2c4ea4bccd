"""Whether the order of the trials shows in their values: a diagnostic that only warns.

The sequence is balanced and each round has a lead-in, so neither effect biases a comparison; both make it
less precise. Both tests take the values of a block, every arm under one condition in one round, on the log
scale if they are positive. The mean of the block and that of each arm are subtracted. A block gives one
number, and the exact signed-rank test over the blocks says whether these numbers lie around zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from harness.analysis.trial_table import TrialTable
from harness.config import canonical_json
from harness.metrics import Metric
from harness.statistics import holm
from harness.statistics.rank_sums import Floats
from harness.statistics.signed_rank import signed_rank_p

ALPHA = 0.01


class _Trial(NamedTuple):
    """A trial with the arm that ran before it. Arms are their numbers in the study."""

    arm: int
    before: int
    value: float


@dataclass(frozen=True, kw_only=True)
class _Blocks:
    """One row per complete block and one column per trial, in the order in which they ran: what is left of
    each value, and the arm that ran before.
    """

    residuals: Floats
    before: np.ndarray[tuple[int, int], np.dtype[np.int64]]


def order_warnings(table: TrialTable, record: Metric) -> Iterator[str]:
    """Effects of the position in a block, and of the arm that ran before, with Holm's correction over both
    kinds of test and all conditions.
    """
    if record.paired_over != "rounds" or record.exact:
        return
    trials = _trials(table, record)
    p_values: dict[str, float] = {}
    for condition in table.loaded.conditions:
        blocks = _blocks(trials.get(canonical_json(condition.names), {}), arms=len(table.loaded.arms))
        if blocks is not None:
            name = f"{condition.name}: " if condition.name else ""
            p_values |= {
                name + text: signed_rank_p(values) for text, values in _effects(table, record, blocks)
            }
    for text, p in holm(p_values).items():
        if p <= ALPHA:
            yield f"{text} (p {p:.2g}); the order is balanced, so this costs precision only"


def _effects(table: TrialTable, record: Metric, blocks: _Blocks) -> Iterator[tuple[str, Floats]]:
    """What a test asks, and one number per block."""
    arms = table.loaded.arms
    turns = np.arange(len(arms)) - (len(arms) - 1) / 2
    yield (
        f"{record.label} depends on the position of a trial among those of its round",
        blocks.residuals @ turns,
    )
    if len(arms) == 2:
        return  # both trials of a block follow the same arm
    for number, arm in enumerate(arms):
        after = blocks.before == number
        counts = after.sum(axis=1)
        if counts.any():
            sums = np.where(after, blocks.residuals, 0.0).sum(axis=1)
            yield (
                f"{record.label} of a trial depends on whether {table.loaded.label(arm.name)} ran before",
                sums[counts > 0] / counts[counts > 0],
            )


def _trials(table: TrialTable, record: Metric) -> dict[str, dict[tuple[int, int], list[_Trial]]]:
    """The trials of the metric by condition and by (round, seed), in the order in which they ran.

    The arm before the first trial of a round is that of its lead-in, which is the same arm.
    """
    numbers = {arm.name: number for number, arm in enumerate(table.loaded.arms)}
    values = table.values[(table.values["metric"] == record.name) & table.values["arm"].isin(numbers)]
    values = values.sort_values("position")
    columns = (values[name].tolist() for name in ("condition", "round", "seed", "arm", "value"))
    last: dict[tuple[int, int], int] = {}
    trials: dict[str, dict[tuple[int, int], list[_Trial]]] = {}
    for condition, number, seed, name, value in zip(*columns, strict=True):
        key, arm = (number, seed), numbers[name]
        trial = _Trial(arm, last.get(key, arm), float(value))
        trials.setdefault(condition, {}).setdefault(key, []).append(trial)
        last[key] = arm
    return trials


def _blocks(trials: Mapping[tuple[int, int], list[_Trial]], *, arms: int) -> _Blocks | None:
    """The complete blocks of a condition, or None if there are fewer than two."""
    positive = all(trial.value > 0 for block in trials.values() for trial in block)
    complete = [
        block
        for _, block in sorted(trials.items())
        if len(block) == arms and all(np.isfinite(trial.value) for trial in block)
    ]
    if len(complete) < 2:
        return None
    values = np.array([[trial.value for trial in block] for block in complete])
    ran = np.array([[trial.arm for trial in block] for block in complete])
    levels = np.log(values) if positive else values
    centred = levels - levels.mean(axis=1, keepdims=True)
    sums = np.bincount(ran.ravel(), weights=centred.ravel(), minlength=arms)
    means = sums / np.maximum(np.bincount(ran.ravel(), minlength=arms), 1)
    before = np.array([[trial.before for trial in block] for block in complete])
    return _Blocks(residuals=centred - means[ran], before=before)
