"""Diversity against hand-worked texts and sacrebleu with every other text as a reference."""

import math

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU

from harness.errors import InputError
from harness.scoring.scores.diversity import distinct_n, repetition, self_bleu
from harness.scoring.texts import words
from tests.scoring.synthetic import make_texts


def test_distinct_is_distinct_over_all() -> None:
    texts = [["a", "b", "a", "b"], ["a", "b", "c"]]
    assert distinct_n(texts, 1) == 3 / 7
    assert distinct_n(texts, 2) == 3 / 5  # ab ba ab | ab bc
    assert distinct_n([[5, 5, 5, 5]], 2) == 1 / 3
    assert math.isnan(distinct_n(texts, 5))  # no text has five words


def test_repetition_is_a_share_a_text() -> None:
    result = repetition([["a", "b"] * 4, list("abcdefgh"), ["a"], []], n=2)
    assert result.sentence_scores.tolist() == [1 - 2 / 7, 0.0, 0.0, 0.0]
    assert result.corpus_score == pytest.approx((5 / 7) / 4)
    assert repetition([[7] * 10], n=4).corpus_score == 1 - 1 / 7


def test_repetition_of_longer_grams_is_another_metric() -> None:
    assert repetition([[1, 1, 1]], n=2).signature != repetition([[1, 1, 1]], n=3).signature


@pytest.mark.parametrize("seed", [0, 1])
def test_self_bleu_agrees_with_sacrebleu_text_by_text(seed: int) -> None:
    texts = [text for text in make_texts(25, seed=seed).poor if text]
    texts += texts[:2]  # a text that another repeats scores 100
    metric = BLEU(effective_order=True)
    expected = [
        metric.sentence_score(text, texts[:index] + texts[index + 1 :]).score
        for index, text in enumerate(texts)
    ]
    result = self_bleu(words(texts))
    np.testing.assert_allclose(result.sentence_scores, expected, rtol=1e-9)
    assert result.sentence_scores[0] == pytest.approx(100)
    assert result.corpus_score == pytest.approx(np.mean(expected))


def test_self_bleu_tells_the_same_from_the_different() -> None:
    assert self_bleu([list("abcde")] * 3).corpus_score == pytest.approx(100)
    assert self_bleu([list("abcde"), list("fghij"), []]).corpus_score == 0


def test_bad_texts_are_refused() -> None:
    with pytest.raises(InputError, match=r"text 2 is not divided into tokens; use words\(texts\)"):
        distinct_n([["a"], "a text"], 1)
    with pytest.raises(InputError, match="there are no texts"):
        repetition([])
    with pytest.raises(InputError, match="at least two texts"):
        self_bleu([["a"]])
    with pytest.raises(InputError, match="at least one token, but n is 0"):
        distinct_n([["a"]], 0)
