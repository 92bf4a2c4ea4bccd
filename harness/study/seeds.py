"""The seeds that generators draw from. The analysis pairs trials by the index of a seed: 0, 1, 2 and so on.

In the first draw of a study each seed is its index. A fresh run makes another draw, whose seeds follow from
the name of the study and the number of the draw. They differ from those of every other draw of the study, and
from those of tuning and of searches.
"""

from __future__ import annotations

import hashlib

from harness.metrics import metric
from harness.study.loaded import LoadedStudy

MOST_SEEDS = 1000
FIRST_TUNING_SEED, FIRST_SEARCH_SEED = 1000, 2000
"""Those of measurements in the first draw are below them."""

_FIRST, _BLOCKS = 1_000_000, 2_000_000


def generator_seed(study: str, draw: int, index: int) -> int | None:
    """The seed with this index in a draw of the study, or None in the first draw, where it is the index.

    Draws of a study use neighbouring blocks of `MOST_SEEDS` seeds. The name decides where the blocks begin.
    """
    if draw == 1:
        return None
    name = int.from_bytes(hashlib.sha256(study.encode()).digest()[:8], "big")
    return _FIRST + (name + draw) % _BLOCKS * MOST_SEEDS + index


def outcome_is_training(loaded: LoadedStudy) -> bool:
    """Whether the study asks what trainings are worth, so that a fresh run must train shared models anew.

    It does if its primary metric or the metric of a claim has one value per training or per sentence. Timings
    and memory do not depend on which model was trained.
    """
    study = loaded.study
    names = {
        study.primary,
        *(name for claim in study.claims.values() for name in claim.metrics(study.primary)),
    }
    return any(metric(name).paired_over != "rounds" for name in names)
