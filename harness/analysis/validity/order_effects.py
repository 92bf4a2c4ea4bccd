"""Whether the order of the trials shows in their values: a diagnostic that only warns.

The sequence is balanced and each round has a lead-in, so neither effect biases a comparison; both make it
less precise. Both tests take the values of a block, every arm under one condition in one round, on the log
scale if they are positive. The mean of the block and that of each arm are subtracted. A block gives one
number, and the exact signed-rank test over the blocks says whether these numbers lie around zero.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from harness.analysis.trial_table import TrialTable
from harness.config import canonical_json
from harness.metrics import Metric
from harness.statistics import holm
from harness.statistics.signed_rank import signed_rank_p

ALPHA = 0.01


def order_warnings(table: TrialTable, record: Metric) -> Iterator[str]:
    """Effects of the position in a block, and of the arm that ran before, with Holm's correction over both
    kinds of test and all conditions.
    """
    if record.paired_over != "rounds" or record.exact:
        return
    trials = _with_arm_before(table, record)
    p_values: dict[str, float] = {}
    for condition in table.loaded.conditions:
        blocks = _residuals(table, trials[trials["condition"] == canonical_json(condition.names)])
        if len(blocks) > 1:
            name = f"{condition.name}: " if condition.name else ""
            p_values |= {
                name + text: signed_rank_p(values) for text, values in _effects(table, record, blocks)
            }
    for text, p in holm(p_values).items():
        if p <= ALPHA:
            yield f"{text} (p {p:.2g}); the order is balanced, so this costs precision only"


def _effects(
    table: TrialTable, record: Metric, blocks: list[pd.DataFrame]
) -> Iterator[tuple[str, np.ndarray[tuple[int], np.dtype[np.float64]]]]:
    """What a test asks, and one number per block."""
    turns = np.arange(len(table.loaded.arms)) - (len(table.loaded.arms) - 1) / 2
    yield (
        f"{record.label} depends on the position of a trial among those of its round",
        np.array([float(turns @ block["residual"].to_numpy()) for block in blocks]),
    )
    if len(table.loaded.arms) == 2:
        return  # both trials of a block follow the same arm
    for arm in table.loaded.arms:
        after = (block.loc[block["before"] == arm.name, "residual"] for block in blocks)
        values = np.array([float(one.mean()) for one in after if len(one)])
        if len(values):
            yield (
                f"{record.label} of a trial depends on whether {table.loaded.label(arm.name)} ran before",
                values,
            )


def _with_arm_before(table: TrialTable, record: Metric) -> pd.DataFrame:
    """The trials of the metric in the order in which they ran. The arm before the first trial of a round is
    that of its lead-in, which is the same arm.
    """
    values = table.values[table.values["metric"] == record.name].sort_values("position")
    before = values.groupby(["round", "seed"])["arm"].shift(1)
    return values.assign(before=before.where(before.notna(), values["arm"]))


def _residuals(table: TrialTable, trials: pd.DataFrame) -> list[pd.DataFrame]:
    """The complete blocks of a condition, with what is left of each value."""
    logarithm = np.log if _positive(trials["value"]) else np.asarray
    trials = trials.assign(level=logarithm(trials["value"].astype(float)))
    trials = trials[np.isfinite(trials["level"])]
    groups = [part for _, part in trials.groupby(["round", "seed"]) if len(part) == len(table.loaded.arms)]
    if not groups:
        return []
    complete = pd.concat(groups)
    centred = complete["level"] - complete.groupby(["round", "seed"])["level"].transform("mean")
    residual = centred - centred.groupby(complete["arm"]).transform("mean")
    return [part for _, part in complete.assign(residual=residual).groupby(["round", "seed"])]


def _positive(values: pd.Series[float]) -> bool:
    return bool((values > 0).all())
