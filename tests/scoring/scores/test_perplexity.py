"""Perplexity per token, word and byte in closed form."""

import math
from collections.abc import Sequence

import pytest

from harness.errors import InputError
from harness.scoring.scores.perplexity import SCORES, Unit, perplexities
from harness.scoring.texts import LogLikelihoods, WrittenTexts
from harness.statistics import SentenceStatistics, approximate_randomisation


def counts(tokens: list[int], words: list[int], sizes: list[int]) -> dict[Unit, Sequence[int]]:
    return {"token": tokens, "word": words, "byte": sizes}


def per_token(nats: list[float], tokens: list[int], *, tokenizer: str = "bpe") -> SentenceStatistics:
    ones = [1] * len(tokens)
    return perplexities(nats, counts(tokens, ones, ones), tokenizer=tokenizer)["token"]


def test_each_unit_shares_the_same_nats() -> None:
    result = perplexities([9.0, 3.0], counts([4, 2], [2, 1], [11, 3]), tokenizer="bpe")
    assert result["token"].corpus_score == pytest.approx(math.exp(12 / 6))
    assert result["word"].corpus_score == pytest.approx(math.exp(12 / 3))
    assert result["byte"].corpus_score == pytest.approx(math.exp(12 / 14))
    assert result["token"].sentence_scores.tolist() == pytest.approx([math.exp(9 / 4), math.exp(3 / 2)])


def test_the_bytes_of_a_reference_are_those_of_its_tokens() -> None:
    """A reference that is cut inside characters shows fewer characters than its tokens have bytes."""
    likelihoods = LogLikelihoods([-9.0, -3.0], [8, 4])
    texts = WrittenTexts(
        outputs=["niño", "sí"],
        references=["niñ", "sí"],
        output_likelihoods=likelihoods,
        reference_likelihoods=likelihoods,
        reference_bytes=[8, 4],
        tokenizer="bytes",
    )
    scores = {score.metric: score.corpus_score for score in SCORES.compute(texts)}
    assert scores["perplexity_per_byte"] == scores["perplexity_per_token"] == pytest.approx(math.exp(1.0))


def test_a_uniform_model_has_the_perplexity_of_its_vocabulary() -> None:
    assert per_token([5 * math.log(100), 7 * math.log(100)], [5, 7]).corpus_score == pytest.approx(100)


def test_tokens_of_two_tokenizers_are_not_compared() -> None:
    one = perplexities([9.0, 3.0], counts([4, 2], [2, 1], [11, 3]), tokenizer="bpe-8000")
    other = perplexities([9.5, 3.0], counts([8, 4], [2, 1], [11, 3]), tokenizer="bpe-100")
    with pytest.raises(ValueError, match="signature differs: 'unit:token"):
        approximate_randomisation(one["token"], other["token"])
    assert approximate_randomisation(one["byte"], other["byte"]).difference < 0


def test_a_hopeless_model_is_infinite_not_an_error() -> None:
    assert per_token([1e6], [1]).corpus_score == math.inf


@pytest.mark.parametrize(
    ("nats", "tokens", "words", "message"),
    [
        ([1.0], [1, 2], [1], "there are 1 losses, but 2 texts have tokens"),
        ([math.nan], [1], [1], "text 1 has a loss of nan"),
        ([1.0, math.inf], [1, 1], [1, 1], "text 2 has a loss of inf"),
        ([-1.0], [1], [1], "loss of -1"),
        ([1.0], [0], [1], "text 1 has 0 tokens"),
        ([1.0], [1], [0], "text 1 has 0 words"),
    ],
)
def test_bad_counts_are_refused(nats: list[float], tokens: list[int], words: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        perplexities(nats, counts(tokens, words, [1] * len(nats)), tokenizer="t")
