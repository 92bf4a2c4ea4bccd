"""The bootstrap against closed forms and simulated coverage, over sentences and over seeds × sentences."""

import math

import numpy as np
import pytest

from harness.scoring import bleu
from harness.statistics import (
    SentenceStatistics,
    bootstrap,
    bootstrap_over_seeds,
    paired_bootstrap,
    ratio_of_sums,
    t_interval,
)
from harness.statistics.corpus import drawn_counts
from harness.statistics.signed_rank import Floats
from tests.scoring.synthetic import make_texts

INF = math.inf


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
    result = bootstrap(means(values))
    half = 1.96 * values.std() / 20
    assert result.estimate == pytest.approx(values.mean())
    assert (result.interval.low, result.interval.high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.03 * half
    )
    assert (result.seeds, result.sentences, result.interval.level) == (1, 400, 0.95)


def test_resampled_corpora_are_scored_whole() -> None:
    texts = make_texts(60)
    scored = bleu(texts.good, texts.references)
    rng = np.random.default_rng(0)
    drawn = [rng.integers(60, size=60) for _ in range(4000)]
    plain = [float(scored.score(scored.values[rows].sum(axis=0))) for rows in drawn]
    result = bootstrap(scored)
    expected = np.quantile(plain, [0.025, 0.975])
    width = expected[1] - expected[0]
    assert (result.interval.low, result.interval.high) == pytest.approx(tuple(expected), abs=0.05 * width)
    assert result.interval.low < result.estimate < result.interval.high


def test_pairing_takes_the_sentences_difficulty_away() -> None:
    rng = np.random.default_rng(3)
    hard = rng.normal(0, 5, 300)
    arm, baseline = means(hard + 0.5 + rng.normal(0, 0.2, 300)), means(hard)
    paired = paired_bootstrap(arm, baseline).interval
    assert paired.low > 0.4
    assert bootstrap(arm).interval.high - bootstrap(arm).interval.low > 10 * (paired.high - paired.low)
    back = paired_bootstrap(baseline, arm)
    assert (back.interval.low, back.interval.high) == pytest.approx((-paired.high, -paired.low))
    assert paired_bootstrap(arm, arm).interval.high == 0


def crossed(n: int, sentences: int, spread: tuple[float, float, float], rng: np.random.Generator) -> Floats:
    """(n, sentences): differences that vary with the seed, with the sentence, and with both."""
    by_seed, by_sentence, by_both = spread
    return (
        rng.normal(0, by_seed, (n, 1))
        + rng.normal(0, by_sentence, (1, sentences))
        + rng.normal(0, by_both, (n, sentences))
    )


@pytest.mark.parametrize(
    "spread", [(1.0, 0.01, 0.01), (0.1, 1.0, 1.0), (0.01, 1.0, 3.0)], ids=["seeds", "both", "sentences"]
)
@pytest.mark.parametrize("n", [6, 10])
def test_methods_are_covered_whatever_varies(n: int, spread: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(4)
    zero = dict.fromkeys(range(n), means(np.zeros(60)))
    missed = 0
    for study in range(150):
        differences = crossed(n, 60, spread, rng)
        arm = {seed: means(row) for seed, row in enumerate(differences)}
        missed += bootstrap_over_seeds(arm, zero, resamples=400, seed=study).interval.excludes(0)
    assert missed / 150 <= 0.12  # 0.05 and what 150 studies and few seeds allow


@pytest.mark.parametrize("n", [8, 12])
def test_where_only_seeds_vary_the_interval_is_students(n: int) -> None:
    effects = dict(enumerate(np.random.default_rng(5).normal(0.2, 1, n)))
    arm = {seed: means(np.full(9, effect)) for seed, effect in effects.items()}
    result = bootstrap_over_seeds(arm, dict.fromkeys(range(n), means(np.zeros(9))), resamples=40_000)
    expected = t_interval(effects, level=0.95)
    half = (expected.high - expected.low) / 2
    assert result.estimate == pytest.approx(np.mean([*effects.values()]))
    assert (result.interval.high - result.interval.low) / 2 == pytest.approx(half, rel=0.03)


def test_one_lucky_seed_is_not_a_method() -> None:
    rng = np.random.default_rng(6)
    per_seed = [0.5, -0.3, 0.4, -0.6, 0.2, -0.1]
    arm = {seed: means(effect + rng.normal(0, 0.1, 500)) for seed, effect in enumerate(per_seed)}
    baseline = dict.fromkeys(range(6), means(np.zeros(500)))
    assert paired_bootstrap(arm[0], baseline[0]).interval.low > 0.4  # that checkpoint is better
    method = bootstrap_over_seeds(arm, baseline)
    assert method.interval.low < 0 < method.interval.high
    assert method.estimate == pytest.approx(np.mean(per_seed), abs=0.02)
    assert (method.seeds, method.sentences) == (6, 500)


def test_more_sentences_do_not_make_up_for_few_seeds() -> None:
    rng = np.random.default_rng(7)
    widths = []
    for sentences in (100, 10_000):
        arm = {seed: means(seed * 0.1 + rng.normal(0, 0.01, sentences)) for seed in range(6)}
        interval = bootstrap_over_seeds(
            arm, dict.fromkeys(range(6), means(np.zeros(sentences))), resamples=500
        ).interval
        widths.append(interval.high - interval.low)
    assert widths[1] > 0.8 * widths[0]


def test_swapping_the_methods_mirrors_the_interval() -> None:
    rng = np.random.default_rng(8)
    arm = {seed: means(rng.normal(0.1, 1, 80)) for seed in range(7)}
    baseline = {seed: means(rng.normal(0, 1, 80)) for seed in range(7)}
    there, back = bootstrap_over_seeds(arm, baseline), bootstrap_over_seeds(baseline, arm)
    assert back.estimate == pytest.approx(-there.estimate)
    assert back.interval.low == pytest.approx(-there.interval.high, abs=1e-9)
    assert bootstrap_over_seeds(dict(reversed(arm.items())), baseline).estimate == pytest.approx(
        there.estimate
    )


def test_fewer_than_six_seeds_bound_nothing() -> None:
    systems = {seed: means(np.arange(9.0) + seed) for seed in range(5)}
    result = bootstrap_over_seeds(systems, dict.fromkeys(range(5), means(np.zeros(9))))
    assert (result.interval.low, result.interval.high, result.estimate) == (-INF, INF, 6.0)


def test_what_cannot_be_paired_is_refused() -> None:
    one, other = means(np.zeros(9)), means(np.zeros(9), signature="other")
    with pytest.raises(ValueError, match="one side missing: 2"):
        bootstrap_over_seeds({1: one, 2: one}, {1: one})
    with pytest.raises(ValueError, match="no seeds"):
        bootstrap_over_seeds({}, {})
    with pytest.raises(ValueError, match="signature 's' against 'other'"):
        bootstrap_over_seeds({1: one, 2: one}, {1: one, 2: other})
    with pytest.raises(ValueError, match="signature 's' against 'other'"):
        paired_bootstrap(one, other)
