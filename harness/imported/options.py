"""What a person says about a file of results: which columns are what, and what is better."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.errors import InputError

PairedBy = Literal["seed", "round"]
PAIRED_BY: tuple[PairedBy, ...] = ("seed", "round")

WIDEST_RATIO_MARGIN = 100.0
"""The margin of a ratio is below this, as in a study."""


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """Empty fields are guessed from the names of the columns (docs/analyse.md).

    `pair` is what the trials are paired by, and the column that holds it. `margins` are fractions for ratios,
    and in the unit of the metric for differences.
    """

    baseline: str = ""
    arm: str = ""
    pair: tuple[PairedBy, str] | None = None
    metrics: tuple[str, ...] = ()
    lower: tuple[str, ...] = ()
    higher: tuple[str, ...] = ()
    difference: tuple[str, ...] = ()
    margins: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises InputError if the options contradict each other."""
        both = sorted({*self.lower} & {*self.higher})
        if both:
            raise InputError(
                f"{both[0]!r} is given to --lower and to --higher", hint="one direction is better"
            )
        for name, margin in self.margins.items():
            if not 0 < margin < math.inf:
                raise InputError(f"the margin of {name!r} must be a positive number, but it is {margin:g}")
            if name not in self.difference and margin >= WIDEST_RATIO_MARGIN:
                raise InputError(
                    f"the margin of {name!r} is {margin:g}, but that of a ratio is a fraction",
                    hint=f"write {name}=0.05 for 5 %",
                )

    @property
    def named(self) -> tuple[str, ...]:
        """The metrics that the options name. They must be complete; others are left out if they are not."""
        names = (*self.metrics, *self.lower, *self.higher, *self.difference, *self.margins)
        return tuple(dict.fromkeys(names))


def pair_option(given: tuple[str, str] | None) -> tuple[PairedBy, str] | None:
    """The value of `--pair`. Raises InputError if it is neither by seed nor by round."""
    if given is None:
        return None
    for kind in PAIRED_BY:
        if given[0] == kind:
            return kind, given[1]
    raise InputError(
        f"--pair {given[0]} {given[1]}: trials are paired by seed or by round",
        hint=f"write --pair seed {given[1]} or --pair round {given[1]}",
    )


def margin_options(given: Iterable[str]) -> dict[str, float]:
    """`NAME=VALUE` for each metric. Raises InputError if one is not written so."""
    pairs = [text.rpartition("=") for text in given]
    for name, _, value in pairs:
        try:
            if name and math.isfinite(float(value)):
                continue
        except ValueError:
            pass
        raise InputError(f"--margin {name}={value}: write NAME=VALUE, for example loss=0.01")
    repeated = [name for name, number in Counter(name for name, _, _ in pairs).items() if number > 1]
    if repeated:
        raise InputError(f"--margin is given twice for {repeated[0]!r}", hint="keep one of them")
    return {name: float(value) for name, _, value in pairs}
