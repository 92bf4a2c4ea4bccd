"""Parts of UTF-8: a part may begin or end inside a character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.build_tokenizer import ByteTokenizer
from harness.data.tokenizer import BOS_ID, EOS_ID, complete_text, continues_character

TEXTS = st.text(alphabet="a é€🙂\ufffd\n", max_size=12)


@given(text=TEXTS, data=st.data())
def test_a_part_of_a_text_has_its_complete_characters(text: str, data: st.DataObject) -> None:
    """Compared with a plain reference, which looks at every character and where its bytes are."""
    content = text.encode()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    expected, position = "", 0
    for character in text:
        if start <= position and position + len(character.encode()) <= end:
            expected += character
        position += len(character.encode())
    assert complete_text(content[start:end]) == expected


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"", ""), (b"\x80\x80", ""), (b"a\xff", "a"), (b"\xc3(", "\ufffd("), (b"a\xc3", "a")],
)
def test_bytes_that_are_no_part_of_a_text_are_not_fatal(content: bytes, text: str) -> None:
    assert complete_text(content) == text


def test_which_bytes_continue_a_character() -> None:
    tokenizer = ByteTokenizer()
    assert [continues_character(bytes([byte])) for byte in "aé€🙂".encode()] == [
        *[False, False, True, False, True, True, False, True, True, True]
    ]
    assert not continues_character(b"")
    ids = tokenizer.encode("aé€🙂")
    assert tokenizer.inside_characters[ids].tolist() == [
        continues_character(bytes([byte])) for byte in "aé€🙂".encode()
    ]
    assert tokenizer.inside_characters.shape == (tokenizer.vocab_size,)
    assert not tokenizer.inside_characters[[BOS_ID, EOS_ID]].any()
