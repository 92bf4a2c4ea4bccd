"""Scores of single texts and of all texts together."""

from __future__ import annotations

import pytest

from harness.tasks.score import distinct, unseen_words


def test_unseen_words_and_distinct_words() -> None:
    assert unseen_words(("The cat sat.", "A DOG"), ("the CAT", "a dog")) == (1, 0)
    assert distinct(["a b a"], 1) == pytest.approx(2 / 3)
    assert distinct(["", "a"], 2) != distinct(["", "a"], 2)  # NaN: no text has two words
