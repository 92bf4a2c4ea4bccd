"""Which sentences are shown: chosen by a rule, never by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.scoring.sentences import Sentences

RANDOM = 3


@dataclass(frozen=True, kw_only=True)
class Example:
    """Sentence `place`, and the rule that chose it."""

    place: int
    rule: str


def examples(written: Mapping[str, Sentences], score: str, *, seed: int) -> tuple[Example, ...]:
    """Arm → its sentences, all of the same sources: where the arms disagree most by `score`, the median, some
    by chance.

    Disagreement is the largest less the smallest sentence score over the arms, the median that of the mean
    over arms; of equal ones the first is taken, and none twice.
    """
    scores = np.stack(
        [each.statistics(score).sentence_scores for each in written.values()]
    )  # (arms, sentences)
    scores = np.nan_to_num(scores)
    spread, mean = scores.max(axis=0) - scores.min(axis=0), scores.mean(axis=0)
    middle = np.argsort(mean, kind="stable")[len(mean) // 2]
    drawn = np.random.default_rng(seed).permutation(len(mean))[:RANDOM]
    found = {int(spread.argmax()): f"largest disagreement by {score}"}
    found.setdefault(int(middle), f"median by {score}")
    for place in drawn.tolist():
        found.setdefault(place, f"random, seed {seed}")
    return tuple(Example(place=place, rule=rule) for place, rule in found.items())
