"""Paired approximate randomisation against every exchange, sacrebleu's own test, and its size."""

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest, Result

from harness.scoring.scores.perplexity import perplexities
from harness.scoring.scores.rouge import rouge
from harness.scoring.scores.translation import bleu, chrf, ter
from harness.statistics import SentenceStatistics, approximate_randomisation, ratio_of_sums
from harness.statistics.signed_rank import Floats
from tests.scoring.synthetic import Texts, make_texts

Scorer = Callable[[Sequence[str], Sequence[str]], SentenceStatistics]


def means(values: Floats, signature: str = "s") -> SentenceStatistics:
    return SentenceStatistics(
        "mean", signature, np.stack([values, np.ones_like(values)], axis=1), ratio_of_sums
    )


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
    lost = perplexities([1e6], [1], ["a"], tokenizer="t")["token"]
    known = perplexities([1.0], [1], ["a"], tokenizer="t")["token"]
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
