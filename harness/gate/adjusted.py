"""Pairs of times without what the speed of the machine adds to them.

The speed of a shared processor changes from second to second, for the benchmark and for the reference loop
beside each of its rounds alike. No version contains that loop. So ln(seconds) is adjusted by the slope with
which it follows ln(seconds of the loop) within the versions: an analysis of covariance (Fisher 1932; Deng et
al. 2013, "Improving the sensitivity of online controlled experiments by utilizing pre-experiment data"). The
slope does not depend on the difference between the versions. It is 0 for work that does not depend on the
processor.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.gate.suite import ARMS, FACTOR

STEEPEST = 2.0
"""A memory-bound program suffers more than the loop from its neighbours, and seldom more than this."""


def timed_rounds(samples: pd.DataFrame, metric: str, reference: str) -> pd.DataFrame:
    """One row per round of pytest-benchmark: arm and round of its process, and the logarithms `log` and
    `reference` of its seconds and of those of the loop beside it. Times that are not positive are left out.
    """
    keys = ["arm", "round", "trial", "step"]
    times = samples[samples["metric"] == metric].set_index(keys)["value"]
    loops = samples[samples["metric"] == reference].set_index(keys)["value"]
    both = pd.DataFrame({"log": times, "reference": loops}).dropna()
    both = both[(both > 0).all(axis=1)]
    return pd.DataFrame(np.log(both), index=both.index, columns=both.columns).reset_index()


def adjusted_pairs(rounds: pd.DataFrame) -> tuple[float, ...]:
    """ln(tree ÷ baseline) of each round in which both versions have times: the difference of the medians of
    the adjusted logarithms.
    """
    slope = slope_within_versions(rounds)
    adjusted = rounds.assign(log=rounds["log"] - slope * (rounds["reference"] - rounds["reference"].median()))
    medians = adjusted.groupby(["round", "arm"])["log"].median().unstack("arm")
    columns = [f"{FACTOR}={arm}" for arm in ARMS]
    pairs = medians.reindex(columns=columns).dropna()
    return tuple((pairs[columns[1]] - pairs[columns[0]]).tolist())


def slope_within_versions(rounds: pd.DataFrame) -> float:
    """By least squares, from the distances of both logarithms to their medians in the same version. It is
    between 0 and `STEEPEST`.
    """
    x, y = (_centred(rounds, name) for name in ("reference", "log"))
    spread = float(x @ x)
    return min(max(float(x @ y) / spread, 0.0), STEEPEST) if spread > 0 else 0.0


def _centred(rounds: pd.DataFrame, name: str) -> NDArray[np.float64]:
    medians = rounds.groupby("arm")[name].transform("median")
    return (rounds[name] - medians).to_numpy(np.float64)
