"""What a machine was measured to be able to do, and how much equal trials scatter on it.

Kept in the store, read without torch.
"""

from __future__ import annotations

from harness.config import Config


class Scatter(Config):
    """`sigma` is the SD of within-round log ratios of two equal arms over `rounds`; `run` holds the raw
    samples.

    `primary` metrics are of whole, steady work; others may be of a part of it that is short and scatters
    more.
    """

    metric: str
    family: str
    sigma: float
    rounds: int
    run: str
    primary: bool


class Limits(Config):
    """Ceilings on `device` with `threads` threads, each the best of several tries; None where a figure cannot
    be had.

    `matmul` is in FLOP/s by precision, a product counting 2n³; bandwidths are in bytes a second, copying
    counting what is read and what is written. Of the clock: the smallest step seen between two readings, and
    what one reading takes, in ns.
    """

    device: str
    threads: int
    matmul: dict[str, float | None]
    copy_bandwidth: float
    read_bandwidth: float
    timer_step_ns: float
    timer_call_ns: float


class Calibration(Config):
    """One calibration of one environment."""

    limits: Limits
    scatter: tuple[Scatter, ...]
    quick: bool

    def scatter_of(self, metric: str, family: str) -> Scatter | None:
        """How much this metric scatters; of one that was not measured, the worst primary metric of its
        family, or None.
        """
        named = [one for one in self.scatter if one.metric == metric]
        alike = [one for one in self.scatter if one.primary and one.family == family]
        return max(named or alike, key=lambda one: one.sigma, default=None)
