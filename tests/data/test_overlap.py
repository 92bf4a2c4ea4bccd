"""How much held-out text occurs in training text: by windows of characters, or by pairs of sentences."""

from __future__ import annotations

import random

import pytest

from harness.data.content import Pair
from harness.data.overlap import WINDOW, share_of_pairs, share_of_windows


def letters(count: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("abcdefgh \n", k=count))


def naive(training: str, held_out: str) -> float:
    windows = [held_out[start : start + WINDOW] for start in range(len(held_out) - WINDOW + 1)]
    return sum(window in training for window in windows) / len(windows)


@pytest.mark.parametrize("common", [0, 49, 50, 51, 400])
def test_windows_are_those_that_a_plain_search_counts(common: int) -> None:
    training = letters(3000, 1)
    held_out = letters(300, 2) + training[500 : 500 + common] + letters(300, 3)
    assert share_of_windows(training, held_out) == naive(training, held_out)


def test_text_across_the_parts_of_a_long_text_is_seen() -> None:
    training = letters(600_000, 4)
    assert share_of_windows(training, training[2**18 - 100 : 2**18 + 100]) == 1.0


def test_text_that_is_not_there_is_not_seen() -> None:
    assert share_of_windows(letters(100_000, 5), letters(50_000, 6)) == 0.0
    assert share_of_windows("", "text") == 0.0
    assert share_of_windows("a text that is short", "text") == 1.0


def test_a_pair_counts_if_both_sides_occur_whatever_their_case_and_punctuation() -> None:
    training = [Pair("Hello, world!", "Hola, mundo."), Pair("Go.", "Ve.")]
    held_out = [Pair("hello world", "¡Hola, mundo!"), Pair("Go!", "Vete."), Pair("Stay.", "Ve.")]
    assert share_of_pairs(training, held_out) == pytest.approx(1 / 3)
