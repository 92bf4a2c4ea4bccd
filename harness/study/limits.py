"""What a trial may use before it is ended."""

from __future__ import annotations

import operator

from pydantic import Field

from harness.config import Config
from harness.study.quantities import Duration, Size

OUTPUT_BYTES = 16 * 2**20
IDLE_SECONDS = 600.0


class DeclaredLimits(Config):
    """A trial that reaches a limit is ended, and its arm has failed. They change no result, so a run goes on
    with other limits.

    `time` is for one trial; by default it is 30 times the estimate, and at least 15 minutes. `memory` is for
    all processes of a trial together; by default it is nine tenths of what the machine allows. `output` is
    what a trial may print. A trial hangs if for the time `idle` it writes no result and uses no processor.
    """

    time: Duration | None = Field(default=None, exclude_if=operator.not_)
    """The time after which one trial is ended: 90s, 30m. Default: 30 times the estimate, and at least 15
    minutes.
    """

    memory: Size | None = Field(default=None, exclude_if=operator.not_)
    """The memory of all processes of a trial together at which it is ended: 4 GiB. Default: nine tenths of
    the machine's.
    """

    output: Size = OUTPUT_BYTES
    """The size of what a trial may print: 16 MiB."""

    idle: Duration = IDLE_SECONDS
    """A trial hangs if for this time it writes no result and uses no processor."""


DEFAULT_LIMITS = DeclaredLimits()
"""What a study has that declares none."""
