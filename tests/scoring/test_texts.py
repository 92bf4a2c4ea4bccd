"""Words of texts that nobody has seen, and the checks of texts that are to be scored."""

from __future__ import annotations

import pytest

from harness.errors import InputError
from harness.scoring.texts import LogLikelihoods, WrittenTexts, unseen_words, words


def test_a_word_is_unseen_if_it_is_in_no_known_text_in_any_case() -> None:
    assert unseen_words(("The cat sat.", "A DOG"), ("the CAT", "a dog")) == (1, 0)


def test_words_are_those_of_bleu() -> None:
    assert words(["Hola, 1.000 «sí».", ""]) == [["Hola", ",", "1.000", "«sí»", "."], []]


def test_texts_without_a_reference_each_are_refused() -> None:
    none = LogLikelihoods([], [])
    with pytest.raises(InputError, match="there are 1 outputs but 2 references"):
        WrittenTexts(
            outputs=["a"],
            references=["a", "b"],
            output_likelihoods=none,
            reference_likelihoods=none,
            reference_bytes=[],
            tokenizer="t",
        )
