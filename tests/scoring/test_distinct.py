"""Which sentences are the same text: equal ones, and windows of a file that repeats itself."""

from __future__ import annotations

import numpy as np

from harness.scoring.distinct import distinct_texts, sentence_keys


def test_a_key_is_that_of_source_and_reference() -> None:
    keys = sentence_keys(("a", "a", "a", "ab"), ("b", "c", "b", ""))
    assert keys[0] == keys[2]
    assert len(set(keys)) == 3


def test_equal_sources_are_one_text_and_other_sentences_are_texts_of_their_own() -> None:
    names = distinct_texts(("Hello.", "Hello.", "Hi.", "Good bye."), ("Hola.", "¡Hola!", "Hola.", "Adiós."))
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_sentences_that_share_a_phrase_are_distinct() -> None:
    shared = "I do not know how to thank you for the "
    sources = tuple(f"{shared}{noun} that you gave to my friend yesterday" for noun in ("book", "dog", "hat"))
    assert len(set(distinct_texts(sources, ("Eins.", "Zwei ist mehr als eins.", "Drei.")))) > 1
    sources = tuple(f"{shared}{noun}." for noun in ("pleasant evening by the sea", "dog", "old grammar book"))
    references = tuple(f"Danke für {word}." for word in ("den schönen Abend am Meer", "den Hund", "das Buch"))
    assert len(set(distinct_texts(sources, references))) == 3


def test_windows_of_a_repeated_line_are_one_text_in_any_order() -> None:
    line = "A line that somebody wrote three thousand times, because the test set had to be long.\n"
    text, random = line * 3000, np.random.default_rng(0)
    starts = random.permutation(len(text) // 64)[:100] * 64
    sources = tuple(text[start : start + 32] for start in starts)
    references = tuple(text[start + 32 : start + 64] for start in starts)
    names = distinct_texts(sources, references)
    assert len(set(sentence_keys(sources, references))) > 30
    assert len(set(names)) == 1
    mixed = (*sources, "Something else."), (*references, "Nothing of that kind.")
    order = random.permutation(101)
    shuffled = tuple(tuple(side[index] for index in order) for side in mixed)
    assert distinct_texts(*shuffled) == tuple(distinct_texts(*mixed)[index] for index in order)
    assert len(set(distinct_texts(*mixed))) == 2
