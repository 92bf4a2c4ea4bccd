"""Perplexity per token, word and byte in closed form."""

import math

import pytest

from harness.errors import InputError
from harness.scoring.scores.perplexity import perplexities
from harness.statistics import approximate_randomisation

TEXTS = ["niño corre", "sí"]


def test_each_unit_shares_the_same_nats() -> None:
    result = perplexities([9.0, 3.0], [4, 2], TEXTS, tokenizer="bpe")
    assert result["token"].corpus_score == pytest.approx(math.exp(12 / 6))
    assert result["word"].corpus_score == pytest.approx(math.exp(12 / 3))
    assert result["byte"].corpus_score == pytest.approx(math.exp(12 / 14))  # 11 bytes and 3
    assert result["token"].sentence_scores.tolist() == pytest.approx([math.exp(9 / 4), math.exp(3 / 2)])


def test_a_uniform_model_has_the_perplexity_of_its_vocabulary() -> None:
    result = perplexities([5 * math.log(100), 7 * math.log(100)], [5, 7], TEXTS, tokenizer="bpe")
    assert result["token"].corpus_score == pytest.approx(100)


def test_tokens_of_two_tokenizers_are_not_compared() -> None:
    one = perplexities([9.0, 3.0], [4, 2], TEXTS, tokenizer="bpe-8000")
    other = perplexities([9.5, 3.0], [8, 4], TEXTS, tokenizer="bpe-100")
    with pytest.raises(ValueError, match="signature differs: 'unit:token"):
        approximate_randomisation(one["token"], other["token"])
    assert approximate_randomisation(one["byte"], other["byte"]).difference < 0


def test_a_hopeless_model_is_infinite_not_an_error() -> None:
    assert perplexities([1e6], [1], ["a"], tokenizer="t")["token"].corpus_score == math.inf


@pytest.mark.parametrize(
    ("nats", "tokens", "texts", "message"),
    [
        ([1.0], [1, 2], ["a"], "there are 1 losses and 2 token counts for 1 texts"),
        ([math.nan], [1], ["a"], "text 1 has a loss of nan"),
        ([1.0, math.inf], [1, 1], ["a", "b"], "text 2 has a loss of inf"),
        ([-1.0], [1], ["a"], "loss of -1"),
        ([1.0], [0], ["a"], "text 1 has 0 tokens"),
        ([1.0], [1], [" "], "text 1 has 0 words"),
        ([], [], [], "there are no texts"),
    ],
)
def test_bad_counts_are_refused(nats: list[float], tokens: list[int], texts: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        perplexities(nats, tokens, texts, tokenizer="t")
