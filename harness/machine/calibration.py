"""The results of a calibration: how fast the machine is, and how much equal trials scatter on it.

They are recorded in the store and can be read without torch.
"""

from __future__ import annotations

from harness.config import Config


class Scatter(Config):
    """The scatter of a metric between equal arms.

    `sigma` is the standard deviation, over `rounds` rounds, of the log ratio of two equal arms in a round.
    The raw samples belong to the run with the id `run`. A `primary` metric measures the complete, steady
    work; the others may measure a short part of it, which scatters more.
    """

    metric: str
    family: str
    sigma: float
    rounds: int
    run: str
    primary: bool


class Limits(Config):
    """The highest speeds of `device` with `threads` threads, each the best of several tries.

    `matmul` is in FLOP/s per precision, where a product counts as 2n³ operations; None means that the speed
    could not be measured. Bandwidths are in bytes per second, and a copy counts what it reads and what it
    writes. `timer_step_ns` is the smallest difference between two readings of the clock, and `timer_call_ns`
    the time that one reading takes.
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
        """The scatter of this metric.

        For a metric that was not measured, it is the largest scatter of a primary metric that is compared in
        the same way, or None.
        """
        measured = [entry for entry in self.scatter if entry.metric == metric]
        similar = [entry for entry in self.scatter if entry.primary and entry.family == family]
        return max(measured or similar, key=lambda entry: entry.sigma, default=None)
