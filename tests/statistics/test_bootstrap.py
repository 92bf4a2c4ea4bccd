"""The bootstrap of a corpus score against a closed form and a plain program."""

import numpy as np
import pytest

from harness.scoring.scores.translation import bleu
from harness.statistics import (
    SentenceStatistics,
    bootstrap_interval,
    ratio_of_sums,
)
from harness.statistics.corpus import drawn_counts
from harness.statistics.signed_rank import Floats
from tests.scoring.synthetic import make_texts


def means(values: Floats, signature: str = "s") -> SentenceStatistics:
    return SentenceStatistics(
        "mean", signature, np.stack([values, np.ones_like(values)], axis=1), ratio_of_sums
    )


def test_every_resample_draws_as_many_sentences() -> None:
    counts = np.concatenate(list(drawn_counts(30, 1203, np.random.default_rng(1))))
    assert counts.shape == (1203, 30)
    assert set(counts.sum(axis=1)) == {30.0}
    assert counts.var() == pytest.approx(29 / 30, rel=0.03)  # multinomial


def test_the_interval_of_a_mean_is_that_of_its_normal_law() -> None:
    values = np.random.default_rng(2).normal(3, 2, 400)
    interval = bootstrap_interval(means(values))
    half = 1.96 * values.std() / 20
    assert (interval.low, interval.high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.03 * half
    )
    assert interval.level == 0.95


def test_a_resampled_corpus_is_scored_as_one() -> None:
    texts = make_texts(60)
    scored = bleu(texts.good, texts.references)
    rng = np.random.default_rng(0)
    drawn = [rng.integers(60, size=60) for _ in range(4000)]
    plain = [float(scored.score(scored.values[rows].sum(axis=0))) for rows in drawn]
    interval = bootstrap_interval(scored)
    expected = np.quantile(plain, [0.025, 0.975])
    width = expected[1] - expected[0]
    assert (interval.low, interval.high) == pytest.approx(tuple(expected), abs=0.05 * width)
    assert interval.low < scored.corpus_score < interval.high
