"""Running text is divided at the ends of lines, and long lines inside, so that every split has its share."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.splits import SPLITS, Fractions, running_split


def parts(text: str, *held_out: float) -> list[str]:
    valid, test = held_out or (0.05, 0.05)
    return [running_split(text, split, fractions=Fractions(valid=valid, test=test)) for split in SPLITS]


WORDS = " ".join(f"word{number % 97}" for number in range(5000))


@pytest.mark.parametrize(
    "text",
    [
        WORDS,
        WORDS + "\n",
        f"{WORDS}\n{WORDS}\n{WORDS}",
        f"title\n{WORDS}\nend\n",
        "\n".join([WORDS[:3000]] * 12),
        "語" * 30_000,
        "語" * 30_000 + "\n" + "short\n" * 100,
    ],
    ids=[
        "one line",
        "one line that ends",
        "three lines",
        "title",
        "twelve lines",
        "no space",
        "no space first",
    ],
)
@pytest.mark.parametrize("held_out", [(0.05, 0.05), (0.1, 0.02), (0.0, 0.1), (0.2, 0.0)])
def test_text_of_few_long_lines_has_its_shares(text: str, held_out: tuple[float, float]) -> None:
    train, valid, test = divided = parts(text, *held_out)
    assert "".join(divided) == text
    smallest = min(filter(None, held_out))
    assert len(valid) / len(text) == pytest.approx(held_out[0], abs=smallest / 2 + 1e-4)
    assert len(test) / len(text) == pytest.approx(held_out[1], abs=smallest / 2 + 1e-4)
    assert (bool(valid), bool(test)) == (held_out[0] > 0, held_out[1] > 0)
    if " " in text:  # no word is cut
        assert all(
            before[-1].isspace() for before, after in ((train, valid), (valid, test)) if before and after
        )


def plain_reference(text: str) -> list[str]:
    """Line by line: a line belongs to the first split whose end is not before its own end."""
    ends = [(1 - 0.05 - 0.05) * len(text), (1 - 0.05) * len(text), len(text)]
    divided, position = ["", "", ""], 0
    for line in text.splitlines(keepends=True):
        position += len(line)
        divided[next(index for index, end in enumerate(ends) if position <= round(end))] += line
    return divided


@given(seed=st.integers(0, 2**32), lines=st.integers(700, 1600))
def test_text_of_many_short_lines_is_cut_between_them(seed: int, lines: int) -> None:
    random = Random(seed)
    text = "".join("x" * random.randrange(30) + "\n" for _ in range(lines))
    assert parts(text) == plain_reference(text)


def test_a_last_line_without_an_end_is_not_lost() -> None:
    text = "line\n" * 1000 + "the end"
    assert parts(text, 0.05, 0.0)[1].endswith("the end")
    assert "".join(parts(text, 0.0, 0.0)[:1]) == text
