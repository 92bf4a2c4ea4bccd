"""Pairs of times without what the speed of the machine adds to them.

The speed of a shared processor changes from second to second, for the benchmark and for the reference loop
beside each of its rounds alike. No version contains that loop. So ln(seconds) is adjusted by the slope with
which it follows ln(seconds of the loop) within the versions: an analysis of covariance (Fisher 1932; Deng et
al. 2013, "Improving the sensitivity of online controlled experiments by utilizing pre-experiment data"). The
slope does not depend on the difference between the versions. It is 0 for work that does not depend on the
processor, and above 1 for work that suffers more than the loop from its neighbours.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.gate.suite import ARMS, FACTOR

STEEPEST, SLOPES = 2.0, 101
"""The largest slope, and how many are tried."""


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


def adjusted_pairs(rounds: pd.DataFrame) -> dict[int, float]:
    """ln(tree ÷ baseline) of each round in which both versions have times, by its number: the difference of
    the medians of the adjusted logarithms.
    """
    slope = slope_within_versions(rounds)
    adjusted = rounds.assign(log=rounds["log"] - slope * rounds["reference"])
    medians = adjusted.groupby(["round", "arm"])["log"].median().unstack("arm")
    columns = [f"{FACTOR}={arm}" for arm in ARMS]
    pairs = medians.reindex(columns=columns).dropna()
    logs = pairs[columns[1]] - pairs[columns[0]]
    return dict(zip(map(int, logs.index), map(float, logs), strict=True))


def slope_within_versions(rounds: pd.DataFrame) -> float:
    """The slope with which the medians of the processes lie closest to the median of their version, by the
    mean of the distances. A single slow moment changes it little, other than by least squares. It is between
    0 and `STEEPEST`, and 0 if nothing else is better.
    """
    processes = [process for _, process in rounds.groupby(["arm", "round", "trial"])]
    if not processes:
        return 0.0
    arms = np.array([process["arm"].iloc[0] for process in processes])
    slopes = np.linspace(0.0, STEEPEST, SLOPES)
    medians = np.stack(
        [
            np.median(
                process["log"].to_numpy()[:, None] - process["reference"].to_numpy()[:, None] * slopes, axis=0
            )
            for process in processes
        ]
    )
    distances = np.zeros(SLOPES)
    for arm in sorted(set(arms)):
        one = medians[arms == arm]
        distances += np.abs(one - np.median(one, axis=0)).sum(axis=0)
    return float(slopes[np.argmin(np.round(distances, 9))])
