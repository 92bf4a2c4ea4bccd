"""The setting `parallel` of a training. Importing it needs no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from harness.config import Config

LayoutName = Literal["data"]


class Parallel(Config):
    """The processes (ranks) that train one model together, with one device for each. The default is one
    process.

    An update of several ranks is the update of one rank: it takes the same rows, and every target token has
    the same weight.
    """

    data: int = Field(default=1, gt=0)
    """The number of ranks among which the rows of a micro-batch are divided. Each rank has the model."""

    @property
    def ranks(self) -> int:
        """The number of processes, with one device for each."""
        return self.data

    def is_default(self) -> bool:
        return self == ONE_PROCESS

    @property
    def layout(self) -> LayoutName:
        """How the work is divided. One process counts as dividing the rows."""
        return "data"


ONE_PROCESS = Parallel()
