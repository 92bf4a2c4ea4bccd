"""The setting `parallel` of a training. Importing it needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field, model_validator

from harness.config import Config

LayoutName = Literal["data", "shard", "tensor", "pipeline"]

_LAUNCHER = ("torch.distributed.elastic.multiprocessing", "torch.distributed.launcher")
_MODULES: Mapping[LayoutName, tuple[str, ...]] = MappingProxyType(
    {
        "data": (),
        "shard": ("torch.distributed.fsdp",),
        "tensor": ("torch.distributed.tensor.parallel",),
        "pipeline": ("torch.distributed.pipelining",),
    }
)


class Parallel(Config):
    """The processes (ranks) that train one model together, with one device for each. The default is one
    process.

    An update of several ranks is the update of one rank: it takes the same rows, and every target token has
    the same weight. Ranks divide either the rows (`data`), or the layers (`tensor`), or the blocks
    (`pipeline`).
    """

    data: int = Field(default=1, gt=0)
    """The number of ranks among which the rows of a micro-batch are divided."""

    shard: Literal["none", "full"] = "none"
    """Whether these ranks also divide parameters, gradients and the state of the optimizer: none, where each
    rank has all of them, or full.
    """

    tensor: int = Field(default=1, gt=0)
    """The number of ranks among which the heads of attention and the feed-forward layer are divided."""

    pipeline: int = Field(default=1, gt=0)
    """The number of ranks among which the blocks of the model are divided."""

    micro_batches: int = Field(default=1, gt=0)
    """The number of equal parts of a micro-batch that follow each other through a pipeline."""

    @model_validator(mode="after")
    def _divides_one_thing(self) -> Self:
        divided = [name for name in ("data", "tensor", "pipeline") if getattr(self, name) > 1]
        if len(divided) > 1:
            raise ValueError(f"{' and '.join(divided)} cannot be combined; leave all but one at 1")
        if self.micro_batches > 1 and self.pipeline == 1:
            raise ValueError("micro_batches are parts that pass through a pipeline; set pipeline too")
        if self.shard == "full" and self.data == 1:
            raise ValueError("shard full divides the model among the ranks of `data`; use at least data: 2")
        return self

    @property
    def ranks(self) -> int:
        """The number of processes, with one device for each."""
        return self.data * self.tensor * self.pipeline

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules of torch that the processes need, which take up to a second to import."""
        if self.ranks == 1:
            return ()
        return (*_LAUNCHER, *_MODULES[self.layout])

    def is_default(self) -> bool:
        return self == ONE_PROCESS

    @property
    def layout(self) -> LayoutName:
        """How the work is divided. One process counts as dividing the rows."""
        if self.pipeline > 1:
            return "pipeline"
        if self.tensor > 1:
            return "tensor"
        return "shard" if self.shard == "full" else "data"


ONE_PROCESS = Parallel()
