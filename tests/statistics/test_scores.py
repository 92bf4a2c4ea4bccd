"""Differences of scores: p and intervals agree with each other and with a plain bootstrap."""

from __future__ import annotations

import itertools
import math
import os
import tracemalloc
import warnings
from collections.abc import Callable, Sequence
from dataclasses import astuple, replace

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest, Result
from scipy.stats import norm, t

from harness.scoring.scores.perplexity import perplexities
from harness.scoring.scores.rouge import rouge
from harness.scoring.scores.translation import bleu, chrf, ter
from harness.statistics import (
    SentenceStatistics,
    approximate_randomisation,
    bootstrap_interval,
    compare_scores,
    corpus,
    ratio_of_sums,
    scores,
    t_interval,
)
from harness.statistics.components import mean_of_table
from harness.statistics.corpus import drawn_counts
from harness.statistics.rank_sums import Floats
from tests.scoring.synthetic import Texts, make_texts


def means(values: Floats, signature: str = "s") -> SentenceStatistics:
    pairs = np.stack([values, np.ones_like(values)], axis=1)
    return SentenceStatistics("mean", signature, pairs, ratio_of_sums)


def noisy(effect: float, seed: int = 0) -> SentenceStatistics:
    return means(effect + np.random.default_rng(seed).normal(0, 1, 200))


def studies(n: int, texts: int, spread: tuple[float, float, float], number: int, seed: int) -> Floats:
    """(number, n, texts): differences that vary with the seed, with the text, and with both."""
    rng, (by_seed, by_text, by_both) = np.random.default_rng(seed), spread
    return (
        rng.normal(0, by_seed, (number, n, 1))
        + rng.normal(0, by_text, (number, 1, texts))
        + rng.normal(0, by_both, (number, n, texts))
    )


def test_one_checkpoint_is_bounded_by_the_paired_bootstrap() -> None:
    arm, base = noisy(0.2), noisy(0.0, seed=1)
    compared, rng = compare_scores({0: arm}, {0: base}), np.random.default_rng(9)
    plain = []
    for _ in range(10_000):
        rows = rng.integers(200, size=200)
        scores = [float(side.score(side.values[rows].sum(axis=0))) for side in (arm, base)]
        plain.append(scores[0] - scores[1])
    tail = norm.cdf(math.sqrt(200 / 199) * t.ppf(0.025, 199))
    low, high = np.quantile(plain, [tail, 1 - tail])
    ends = compared.interval(0.95)
    assert compared.estimate == arm.corpus_score - base.corpus_score
    assert (ends.low, ends.high) == pytest.approx((low, high), abs=0.05 * (high - low))


@pytest.mark.parametrize("seeds", [1, 8])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_a_bound_is_excluded_by_the_interval_where_its_p_is_small(seeds: int, level: float) -> None:
    arm = {seed: noisy(0.3, seed) for seed in range(seeds)}
    base = {seed: noisy(0.0, seed + 100) for seed in range(seeds)}
    compared = compare_scores(arm, base)
    ends = compared.interval(level)
    room = 1e-9 * (ends.high - ends.low)
    for end, inwards in ((ends.low, 1), (ends.high, -1)):
        assert compared.beyond(end - inwards * room) <= 1 - level < compared.beyond(end + inwards * room)


def test_two_to_five_seeds_bound_nothing() -> None:
    arm, base = ({seed: noisy(effect, seed) for seed in range(5)} for effect in (9.0, 0.0))
    compared = compare_scores(arm, base)
    assert (compared.p, compared.beyond(0.5), compared.interval(0.9).high) == (1.0, 1.0, math.inf)


def test_equal_outputs_are_identical() -> None:
    compared = compare_scores({0: noisy(0.0)}, {0: noisy(0.0)})
    assert (compared.identical, compared.p, compared.beyond(0.0), compared.beyond(0.5)) == (
        True,
        1.0,
        1.0,
        0.0,
    )
    assert (compared.interval(0.95).low, compared.interval(0.95).high) == (0.0, 0.0)


def test_what_cannot_be_compared_is_refused() -> None:
    one, other = noisy(0.0), means(np.zeros(200), signature="other")
    with pytest.raises(ValueError, match="there are no seeds"):
        compare_scores({}, {})
    with pytest.raises(ValueError, match="one side missing: 2"):
        compare_scores({1: one, 2: one}, {1: one})
    with pytest.raises(ValueError, match="signature differs: 's' and 'other'"):
        compare_scores({1: one}, {1: other})


def test_pairing_takes_the_sentences_difficulty_away() -> None:
    rng = np.random.default_rng(3)
    hard = rng.normal(0, 5, 300)
    arm, baseline = means(hard + 0.5 + rng.normal(0, 0.2, 300)), means(hard)
    paired = compare_scores({0: arm}, {0: baseline}).interval(0.95)
    assert paired.low > 0.4
    alone = bootstrap_interval(arm)
    assert alone.high - alone.low > 10 * (paired.high - paired.low)
    swapped = compare_scores({0: baseline}, {0: arm}).interval(0.95)
    assert (swapped.low, swapped.high) == pytest.approx((-paired.high, -paired.low))


MIXTURES = {
    "seeds": (1.0, 0.0, 0.0),
    "texts": (0.0, 1.0, 0.0),
    "residuals": (0.0, 0.0, 1.0),
    "texts and residuals": (0.0, 1.0, 5.0),
    "all": (0.1, 1.0, 1.0),
}


@pytest.mark.parametrize("spread", MIXTURES.values(), ids=MIXTURES)
@pytest.mark.parametrize("n", [6, 12])
def test_equal_methods_differ_as_often_as_the_level_says_whatever_varies(
    n: int, spread: tuple[float, float, float]
) -> None:
    tables = studies(n, 60, spread, number=1500, seed=4)
    excluded = [mean_of_table(table, float(table.mean())).interval(0.95).excludes(0) for table in tables]
    assert 0.02 <= np.mean(excluded) <= 0.07


def test_a_difference_between_methods_is_seen_where_only_residuals_vary() -> None:
    """The bootstrap over seeds and texts, which counts residuals three times, saw it in a third of them."""
    tables = 3 / math.sqrt(6 * 60) + studies(6, 60, (0.0, 0.0, 1.0), number=500, seed=5)
    seen = [mean_of_table(table, float(table.mean())).interval(0.95).excludes(0) for table in tables]
    assert np.mean(seen) >= 0.6


def test_rows_whose_means_are_equal_by_chance_leave_an_interval() -> None:
    mean = mean_of_table(np.eye(6, 200), 6 / 1200)
    ends = mean.interval(0.95)
    assert ends.high > ends.low


def test_few_texts_that_differ_show_no_direction_however_many_are_equal() -> None:
    changes = np.zeros(200)
    for differing, excluded in ((5, False), (8, True)):
        changes[:differing] = 1.0
        one = compare_scores({0: means(changes)}, {0: means(np.zeros(200))})
        many = compare_scores(
            {seed: means(changes) for seed in range(8)}, dict.fromkeys(range(8), means(np.zeros(200)))
        )
        for compared in (one, many):
            assert (compared.p <= 0.05) == compared.interval(0.95).excludes(0) == excluded
            assert compared.beyond(0.001) >= compared.p  # nearer to the estimate


def copied(values: Floats, copies: int) -> SentenceStatistics:
    """Each text written several times, in an order of its own."""
    order = np.random.default_rng(2).permutation(len(values) * copies)
    names = np.repeat([f"text {index}" for index in range(len(values))], copies)[order]
    return replace(means(np.repeat(values, copies)[order]), texts=tuple(names))


def test_a_text_written_ten_times_is_one_observation() -> None:
    rng = np.random.default_rng(3)
    arm, base = rng.normal(0.3, 1, 40), rng.normal(0, 1, 40)
    for seeds in (1, 6):
        once, ten_times = (
            compare_scores(
                {seed: copied(arm + 0.1 * seed, copies) for seed in range(seeds)},
                {seed: copied(base, copies) for seed in range(seeds)},
            )
            for copies in (1, 10)
        )
        assert ten_times.texts == 40
        assert ten_times.estimate == pytest.approx(once.estimate)
        ends, expected = ten_times.interval(0.95), once.interval(0.95)
        assert (ends.low, ends.high) == pytest.approx((expected.low, expected.high))
    alone, expected = bootstrap_interval(copied(arm, 10)), bootstrap_interval(copied(arm, 1))
    assert (alone.low, alone.high) == pytest.approx((expected.low, expected.high))


def test_copies_raise_no_false_alarms() -> None:
    rng = np.random.default_rng(6)
    zero = np.zeros(30)
    compared = [
        compare_scores({0: copied(rng.normal(size=30), 10)}, {0: copied(zero, 10)}, resamples=200, seed=study)
        for study in range(300)
    ]
    assert np.mean([difference.interval(0.95).excludes(0) for difference in compared]) <= 0.09


def test_fewer_than_30_texts_bound_nothing_even_if_they_are_identical() -> None:
    for effect in (0.0, 9.0):
        arm, base = means(np.full(29, effect)), means(np.zeros(29))
        for seeds in (1, 6):
            compared = compare_scores(dict.fromkeys(range(seeds), arm), dict.fromkeys(range(seeds), base))
            assert (compared.p, compared.beyond(0.5), compared.interval(0.9).high) == (1.0, 1.0, math.inf)
    ten = compare_scores({0: copied(np.full(20, 9.0), 10)}, {0: copied(np.zeros(20), 10)})
    assert (ten.texts, ten.p) == (20, 1.0)


@pytest.mark.parametrize("n", [8, 12])
def test_where_only_seeds_vary_the_interval_is_students(n: int) -> None:
    effects = dict(enumerate(np.random.default_rng(5).normal(0.2, 1, n)))
    arm = {seed: means(np.full(30, effect)) for seed, effect in effects.items()}
    compared = compare_scores(arm, dict.fromkeys(range(n), means(np.zeros(30))))
    expected, interval = t_interval(effects, level=0.95), compared.interval(0.95)
    assert compared.estimate == pytest.approx(np.mean([*effects.values()]))
    assert interval.high - interval.low == pytest.approx(expected.high - expected.low, rel=1e-6)


def test_one_lucky_seed_is_not_a_method() -> None:
    rng = np.random.default_rng(6)
    per_seed = [0.5, -0.3, 0.4, -0.6, 0.2, -0.1]
    arm = {seed: means(effect + rng.normal(0, 0.1, 500)) for seed, effect in enumerate(per_seed)}
    baseline = dict.fromkeys(range(6), means(np.zeros(500)))
    checkpoint = compare_scores({0: arm[0]}, {0: baseline[0]})
    assert checkpoint.interval(0.95).low > 0.4  # that checkpoint is better
    method = compare_scores(arm, baseline)
    assert not method.interval(0.95).excludes(0)
    assert method.estimate == pytest.approx(np.mean(per_seed), abs=0.02)
    assert (method.seeds, method.texts) == (6, 500)


def test_more_sentences_do_not_make_up_for_few_seeds() -> None:
    rng = np.random.default_rng(7)
    widths = []
    for sentences in (100, 10_000):
        arm = {seed: means(seed * 0.1 + rng.normal(0, 0.01, sentences)) for seed in range(6)}
        zero = dict.fromkeys(range(6), means(np.zeros(sentences)))
        interval = compare_scores(arm, zero, resamples=500).interval(0.95)
        widths.append(interval.high - interval.low)
    assert widths[1] > 0.8 * widths[0]


def test_swapping_the_methods_mirrors_the_interval() -> None:
    rng = np.random.default_rng(8)
    arm = {seed: means(rng.normal(0.1, 1, 80)) for seed in range(7)}
    baseline = {seed: means(rng.normal(0, 1, 80)) for seed in range(7)}
    there, back = compare_scores(arm, baseline), compare_scores(baseline, arm)
    assert back.estimate == pytest.approx(-there.estimate)
    assert back.interval(0.95).low == pytest.approx(-there.interval(0.95).high, abs=1e-9)
    reordered = compare_scores(dict(reversed(arm.items())), baseline)
    assert reordered.estimate == pytest.approx(there.estimate)


# The bootstrap of a corpus score against a closed form and a plain program.
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


# Paired approximate randomisation against every exchange, sacrebleu's own test, and its size.
Scorer = Callable[[Sequence[str], Sequence[str]], SentenceStatistics]


@pytest.fixture(scope="module")
def close() -> Texts:
    return make_texts(150, good=0.25, poor=0.29, seed=3)


def test_p_is_that_of_all_exchanges() -> None:
    rng = np.random.default_rng(1)
    arm, baseline = rng.normal(0.5, 1, 10), rng.normal(0, 1, 10)
    changes = arm - baseline
    signs = np.array(list(itertools.product([1, -1], repeat=10)))
    exact = np.mean(np.abs(signs @ changes) >= abs(changes.sum()) - 1e-9)
    result = approximate_randomisation(means(arm), means(baseline), resamples=40_000)
    assert 0.01 < exact < 0.3
    assert result.p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 40_000))
    assert result.difference == pytest.approx(changes.mean())


def test_p_is_that_of_sacrebleu(close: Texts) -> None:
    metrics = {"bleu": BLEU(), "chrf": CHRF(), "ter": TER()}
    assert "SACREBLEU_SEED" not in os.environ
    systems: list[tuple[str, Sequence[str]]] = [("baseline", close.good), ("arm", close.poor)]
    _, theirs = PairedTest(systems, metrics, [close.references], n_samples=2000)()
    for score, name in ((bleu, "BLEU"), (chrf, "chrF2"), (ter, "TER")):
        reference, expected = theirs[name]
        assert isinstance(reference, Result)
        assert isinstance(expected, Result)
        p = expected.p_value or 0.0
        assert 0.0005 < p < 0.9
        arm, baseline = score(close.poor, close.references), score(close.good, close.references)
        result = approximate_randomisation(arm, baseline)
        error = 4 * np.sqrt(p * (1 - p) * (1 / 2000 + 1 / 10_000))
        assert result.p == pytest.approx(p, abs=error)
        assert result.difference == pytest.approx(expected.score - reference.score)


def test_swapping_the_systems_changes_the_sign_alone(close: Texts) -> None:
    arm, baseline = bleu(close.good, close.references), bleu(close.poor, close.references)
    there, back = approximate_randomisation(arm, baseline), approximate_randomisation(baseline, arm)
    assert back.difference == -there.difference
    assert back.p == pytest.approx(there.p, abs=0.02)
    assert approximate_randomisation(arm, baseline) == there


@pytest.mark.parametrize("score", [bleu, chrf, ter])
def test_identical_outputs_are_identical_not_significant(close: Texts, score: Scorer) -> None:
    result = approximate_randomisation(*[score(close.good, close.references)] * 2)
    assert (result.identical, result.p, result.difference) == (True, 1.0, 0.0)
    mixed = rouge(close.good, close.references)["rouge2"]
    assert approximate_randomisation(mixed, mixed).identical


def test_one_sentence_that_differs_proves_nothing(close: Texts) -> None:
    baseline = bleu(close.references, close.references)
    arm = bleu([close.poor[0], *close.references[1:]], close.references)
    result = approximate_randomisation(arm, baseline)
    assert (result.identical, result.p) == (False, 1.0)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_the_scale_of_a_score_does_not_matter(scale: float) -> None:
    rng = np.random.default_rng(2)
    arm, baseline = rng.normal(1.3, 1, 60), rng.normal(1, 1, 60)
    result = approximate_randomisation(means(scale * arm), means(scale * baseline), resamples=500)
    assert result.p == approximate_randomisation(means(arm), means(baseline), resamples=500).p
    alone = np.where(np.arange(60) == 7, 2.0, baseline)  # either exchange gives the very difference seen
    assert approximate_randomisation(means(scale * alone), means(scale * baseline)).p == 1.0


def test_scores_that_are_not_finite_are_refused() -> None:
    lost = perplexities([1e6], {"token": [1]}, tokenizer="t")["token"]
    known = perplexities([1.0], {"token": [1]}, tokenizer="t")["token"]
    with pytest.raises(ValueError, match="perplexity_per_token cannot be compared, because a score is inf"):
        approximate_randomisation(lost, known)


def test_means_and_corpus_scores_find_the_difference_that_is_there(close: Texts) -> None:
    far = make_texts(150, good=0.1, poor=0.4)
    rouges = [rouge(hypotheses, far.references)["rougeL"] for hypotheses in (far.poor, far.good)]
    for arm, baseline in (rouges, [bleu(hypotheses, far.references) for hypotheses in (far.poor, far.good)]):
        result = approximate_randomisation(arm, baseline)
        assert result.p == 1 / 10_001
        assert result.difference < 0


def test_equal_systems_are_told_apart_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(5)
    rejected = [
        approximate_randomisation(
            means(rng.exponential(size=40)), means(rng.exponential(size=40)), resamples=300, seed=study
        ).p
        <= 0.05
        for study in range(600)
    ]
    assert 0.02 <= np.mean(rejected) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 600)


def test_what_was_scored_otherwise_is_refused(close: Texts) -> None:
    result = bleu(close.good, close.references)
    with pytest.raises(
        ValueError, match=r"bleu cannot be compared, because the signature differs: 'nrefs:1.*' and 'case:lc'"
    ):
        approximate_randomisation(result, replace(result, signature="case:lc"))
    with pytest.raises(ValueError, match="the sentences differs: 150 and 149"):
        approximate_randomisation(result, replace(result, values=result.values[:-1]))
    with pytest.raises(ValueError, match="metric differs: 'bleu' and 'chrf'"):
        approximate_randomisation(result, chrf(close.good, close.references))


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e150, 1e300])
def test_components_of_variance_of_any_size(scale: float) -> None:
    table = np.random.default_rng(3).normal(1.0, 1.0, (8, 50)) * scale
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean = mean_of_table(table, float(table.mean()))
        interval = mean.interval(0.95)
    assert interval.low <= mean.estimate <= interval.high
    assert 0 <= mean.beyond(0.0) <= 1
    if scale == 1.0:
        assert math.isfinite(interval.high)
    if scale == 1e300:
        assert (interval.low, interval.high, mean.beyond(0.0)) == (-math.inf, math.inf, 1.0)


@pytest.mark.parametrize("seeds", [1, 2, 6])
@pytest.mark.parametrize("texts", [1, 2, 29, 30])
def test_few_texts_and_seeds_bound_nothing_and_break_nothing(texts: int, seeds: int) -> None:
    rng = np.random.default_rng(4)

    def system() -> dict[int, SentenceStatistics]:
        tables = (np.stack([rng.random(texts), np.ones(texts)], axis=1) for _ in range(seeds))
        return {key: SentenceStatistics("m", "s", table, ratio_of_sums) for key, table in enumerate(tables)}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        difference = compare_scores(system(), system(), resamples=200)
        interval, p = difference.interval(0.95), difference.p
    assert interval.low <= interval.high
    assert 0 < p <= 1
    assert math.isfinite(interval.low) == (texts == 30 and seeds != 2)


def test_ten_thousand_texts_need_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts that are too many to keep are drawn again, and are the same."""
    rng, n = np.random.default_rng(5), 10_000
    arm, baseline = (
        SentenceStatistics("m", "s", np.stack([rng.random(n), np.ones(n)], axis=1), ratio_of_sums)
        for _ in range(2)
    )
    results = []
    for most in (10**8, 0):
        monkeypatch.setattr(scores, "MOST_CACHED", most)
        tracemalloc.start()
        difference = compare_scores({0: arm}, {0: baseline}, resamples=400)
        results.append((difference.p, *astuple(difference.interval(0.95))))
        assert tracemalloc.get_traced_memory()[1] < 150e6
        tracemalloc.stop()
    assert results[1] == pytest.approx(results[0], rel=1e-9)


def test_rows_are_drawn_in_pieces_that_give_the_same_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = np.concatenate(list(drawn_counts(37, 400, np.random.default_rng(6))))
    monkeypatch.setattr(corpus, "MOST_VALUES", 37 * 12)
    pieces = list(drawn_counts(37, 400, np.random.default_rng(6)))
    assert len(pieces) > 30
    assert np.concatenate(pieces).tolist() == at_once.tolist()
