"""Characters that cannot be seen are shown as escapes, and messages have a length that can be read."""

from __future__ import annotations

import sys

import pytest

from harness.errors import message_line
from harness.visible import LONGEST_MESSAGE, LONGEST_WORD, one_line, shortened, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31m \x7f \x00", "\\x9b31m \\x7f \\x00"),
        ("\u202eevil\u202c \u2066\u061c", "\\u202eevil\\u202c \\u2066\\u061c"),
        ("a\u200b\u200d\ufeffb\U000e0041", "a\\u200b\\u200d\\ufeffb\\U000e0041"),
        ("\ud800 \udcff \ufffe \U0001ffff", "\\ud800 \\udcff \\ufffe \\U0001ffff"),
        ("a\r\n\tb\u2028c\u2029d\x85", "a\\r\\n\\tb\\u2028c\\u2029d\\x85"),
        ("plain é 日本 😀 × – \xa0\u2009", "plain é 日本 😀 × – \xa0\u2009"),
    ],
)
def test_what_cannot_be_seen_is_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


def test_everything_that_is_shown_as_it_is_can_be_encoded_and_stands_in_xml() -> None:
    shown = [chr(code) for code in range(sys.maxunicode + 1) if visible(chr(code)) == chr(code)]
    text = "".join(shown)
    assert text.encode()
    assert not set(text) & {chr(code) for code in (*range(32), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF)}
    assert len(shown) > 1_000_000


def test_line_ends_stay_where_they_are_wanted() -> None:
    assert visible("a\n\tb\x1b\r", keep="\n\t") == "a\n\tb\\x1b\\r"
    assert one_line(" a\n\n b\x1b\t c\u2028") == "a b\\x1b c"


def test_long_words_and_messages_lose_their_middle() -> None:
    assert shortened("x" * LONGEST_WORD) == "x" * LONGEST_WORD
    word = shortened(f"there is no recipe {'x' * 4999}y in it")
    assert len(word) < LONGEST_WORD + 40
    assert word.startswith("there is no recipe xxx")
    assert word.endswith("xy in it")
    path = "/".join(("folder" * 5,) * 20)
    assert shortened(path) == path
    assert len(shortened("a/" * 5000)) == len(shortened("ab " * 5000)) == LONGEST_MESSAGE


def test_a_message_is_short_and_has_neither_secrets_nor_escape_sequences() -> None:
    line = message_line("postgresql://me:CANARY@host\nis \x1b[31m " + "0x" + "f" * 100_000)
    assert line.startswith("postgresql://me:***@host\\nis \\x1b[31m 0xfff")
    assert len(line) < LONGEST_WORD + 60
