"""How sums over sentences become the score of a corpus, for every metric; no scorer is imported.

With these, sentence statistics that were stored can be tested and resampled where no text is at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from harness.errors import InputError, did_you_mean
from harness.statistics import SentenceStatistics, ratio_of_sums
from harness.statistics.signed_rank import Floats

_ORDER = 4


def scored(metric: str, signature: str, values: ArrayLike) -> SentenceStatistics:
    """The statistics (sentences, k) of a metric of `SCORES`, new or read back; InputError where its name is
    unknown.
    """
    try:
        score = SCORES[metric]
    except KeyError:
        raise InputError(f"unknown score {metric!r}", hint=did_you_mean(metric, SCORES)) from None
    return SentenceStatistics(metric, signature, np.asarray(values, dtype=np.float64), score)


def averaged(metric: str, signature: str, values: Sequence[float]) -> SentenceStatistics:
    """The same of a metric whose corpus score is the mean of its `values`, one a sentence."""
    return scored(metric, signature, [(value, 1.0) for value in values])


def bleu_of_sums(sums: Floats) -> Floats:
    """(…, 10) → (…): BLEU where an order without matches counts as half, a quarter, … of a match (NIST's
    smoothing).
    """
    length, reference = sums[..., 0], sums[..., 1]
    matches, ngrams = sums[..., 2 : 2 + _ORDER], sums[..., 2 + _ORDER :]
    missed = np.cumsum(matches == 0, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        counted = np.where(matches == 0, 0.5**missed, matches)
        mean = np.log(counted / ngrams).mean(axis=-1)
        penalty = np.exp(np.minimum(0.0, 1 - reference / length))
        scores: Floats = 100 * penalty * np.exp(mean)
    # no match at all, or too short a text to have n-grams of the highest order: 0 by definition
    return np.where((matches.sum(axis=-1) > 0) & (ngrams[..., -1] > 0), scores, 0.0)


def chrf_of_sums(sums: Floats) -> Floats:
    """(…, 18) → (…): F₂ of the mean precision and the mean recall over the orders that both sides have."""
    counts = sums.reshape(*sums.shape[:-1], -1, 3)
    hypothesis, reference, match = counts[..., 0], counts[..., 1], counts[..., 2]
    both = (hypothesis > 0) & (reference > 0)
    orders = np.maximum(both.sum(axis=-1), 1)
    precision = np.where(both, match / np.maximum(hypothesis, 1), 0.0).sum(axis=-1) / orders
    recall = np.where(both, match / np.maximum(reference, 1), 0.0).sum(axis=-1) / orders
    mean: Floats = 5 * precision * recall / np.where(precision + recall > 0, 4 * precision + recall, 1.0)
    return 100 * mean


def ter_of_sums(sums: Floats) -> Floats:
    """(…, 2) → (…): edits over reference words, in percent."""
    return 100 * ratio_of_sums(sums)


def exp_of_mean(sums: Floats) -> Floats:
    """(…, 2) → (…): perplexity from nats and the number of units."""
    with np.errstate(over="ignore"):
        perplexity: Floats = np.exp(ratio_of_sums(sums))
    return perplexity


SCORES: MappingProxyType[str, Callable[[Floats], Floats]] = MappingProxyType(
    {
        "bleu": bleu_of_sums,
        "chrf": chrf_of_sums,
        "ter": ter_of_sums,
        "rouge1": ratio_of_sums,
        "rouge2": ratio_of_sums,
        "rougeL": ratio_of_sums,
        "length_ratio": ratio_of_sums,
        "model_score": ratio_of_sums,
        "repetition": ratio_of_sums,
        "self_bleu": ratio_of_sums,
        "perplexity_per_token": exp_of_mean,
        "perplexity_per_word": exp_of_mean,
        "perplexity_per_byte": exp_of_mean,
    }
)
