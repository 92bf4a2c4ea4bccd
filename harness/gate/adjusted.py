"""Pairs of times without what the speed of the machine adds to them.

The speed of a shared processor and of its memory changes from second to second, for the benchmark and for the
references beside each of its rounds alike: a loop, and a walk through memory. No version contains them. So
ln(seconds) is adjusted by the slopes with which it follows ln(seconds of the references) within the versions:
an analysis of covariance (Fisher 1932; Deng et al. 2013, "Improving the sensitivity of online controlled
experiments by utilizing pre-experiment data"). The slopes do not depend on the difference between the
versions. All are 0 for work that does not depend on the processor, and their sum is above 1 for work that
suffers more than the references from its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from harness.gate.suite import ARMS, FACTOR

STEEPEST, SLOPES = 2.0, 101
"""The largest slope, and how many are tried for each reference."""


def timed_rounds(samples: pd.DataFrame, metric: str, references: Mapping[str, str]) -> pd.DataFrame:
    """One row per round of pytest-benchmark: arm and round of its process, the logarithm `log` of its
    seconds, and for each reference a column with the logarithm of the seconds beside it. `references` maps
    the name of a column to that of a metric. Times that are not positive are left out.
    """
    keys = ["arm", "round", "trial", "step"]
    columns = {"log": metric, **references}
    times = pd.DataFrame(
        {
            column: samples[samples["metric"] == name].set_index(keys)["value"]
            for column, name in columns.items()
        }
    ).dropna()
    times = times[(times > 0).all(axis=1)]
    return pd.DataFrame(np.log(times), index=times.index, columns=times.columns).reset_index()


def adjusted_pairs(rounds: pd.DataFrame, references: Sequence[str]) -> dict[int, float]:
    """ln(tree ÷ baseline) of each round in which both versions have times, by its number: the difference of
    the medians of the adjusted logarithms.
    """
    slopes = slopes_within_versions(rounds, references)
    adjusted = rounds.assign(log=rounds["log"] - rounds[[*references]].to_numpy() @ slopes)
    medians = adjusted.groupby(["round", "arm"])["log"].median().unstack("arm")
    columns = [f"{FACTOR}={arm}" for arm in ARMS]
    pairs = medians.reindex(columns=columns).dropna()
    logs = pairs[columns[1]] - pairs[columns[0]]
    return dict(zip(map(int, logs.index), map(float, logs), strict=True))


def slopes_within_versions(rounds: pd.DataFrame, references: Sequence[str]) -> np.ndarray:
    """The slope for each reference with which the medians of the processes lie closest to the median of their
    version, by the mean of the distances. A single slow moment changes them little, other than by least
    squares. Each is between 0 and `STEEPEST`, and they are 0 if nothing else is better.
    """
    one = np.linspace(0.0, STEEPEST, SLOPES)
    tried = np.stack(np.meshgrid(*[one] * len(references), indexing="ij")).reshape(len(references), -1)
    tried = tried[:, np.argsort(tried.sum(axis=0), kind="stable")]  # of equally good ones, the smallest
    processes = [process for _, process in rounds.groupby(["arm", "round", "trial"])]
    if not processes:
        return np.zeros(len(references))
    arms = np.array([process["arm"].iloc[0] for process in processes])
    medians = np.stack(
        [
            np.median(process["log"].to_numpy()[:, None] - process[[*references]].to_numpy() @ tried, axis=0)
            for process in processes
        ]
    )
    distances = np.zeros(tried.shape[1])
    for arm in sorted(set(arms)):
        of_arm = medians[arms == arm]
        distances += np.abs(of_arm - np.median(of_arm, axis=0)).sum(axis=0)
    best: np.ndarray = tried[:, np.argmin(np.round(distances, 9))]
    return best
