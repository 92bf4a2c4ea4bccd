"""What the tables of contrasts share."""

from __future__ import annotations

import math
from collections.abc import Iterable

from harness.analysis.results import Contrast
from harness.scoring.sentences import Sentences, signatures
from harness.wording import UNKNOWN

NO_END = UNKNOWN
"""What stands for an interval, or for its end, that is not finite."""

NOTE = (
    f"{NO_END} stands for an interval with an end that is not finite: there are too few pairs for this "
    "level, or a training diverged."
)


def has_open_end(contrast: Contrast) -> bool:
    """Whether an end of the interval is no finite number, or the interval allows every ratio."""
    return not (math.isfinite(contrast.low) and math.isfinite(contrast.high))


def condition_text(contrast: Contrast) -> str:
    return ", ".join(f"{factor}={level}" for factor, level in contrast.condition.items()) or UNKNOWN


def signatures_of(written: Iterable[Sentences]) -> list[tuple[str, str]]:
    """The name of each score of the written texts with each of its signatures."""
    return [(name, signature) for name, known in signatures(written).items() for signature in known]
