"""What BPE learns from: every line, whatever characters it has."""

from __future__ import annotations

import pytest
import sentencepiece

from harness.data import bpe

RESERVED = [*map(chr, range(0x2580, 0x25A0)), "\0", "\t", "\u2047", "\ufeff", "\ufffd", "\u2028", "<0x41>"]
"""Block characters, of which sentencepiece uses two itself, and others that are awkward."""


OTHERS = [
    " ".join(word[turn:] + word[:turn] for word in ("quick", "brown", "jumping", "lazy")) for turn in range(7)
]
"""Lines that give the trainer enough to learn."""


def pieces(lines: list[str]) -> set[str]:
    model = bpe.train([*lines, *OTHERS], vocab_size=300, what="lines")
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return {processor.id_to_piece(index) for index in range(processor.vocab_size())}


@pytest.mark.parametrize("character", RESERVED, ids=ascii)
def test_lines_with_any_character_count(character: str) -> None:
    """The words beside the character are learnt, as if it were not there."""
    lines = [f"loss {character}step{character}", f"{character}rate loss"] * 100
    assert {"loss", "step", "rate"} <= {piece.strip(bpe.SPACE_MARK) for piece in pieces(lines)}


def test_progress_bars_are_text() -> None:
    lines = [f"loss ▁▂▃▄▅▆ step {number}" for number in range(3000)]
    tokens = bpe.BpeTokenizer(bpe.train([*lines, *OTHERS], vocab_size=300, what="a log"))
    assert tokens.decode(tokens.encode(lines[7])) == lines[7]
    assert len(tokens.encode("loss")) == 1


def test_a_mark_in_the_text_is_no_space() -> None:
    """Text never gives a space where it has a mark, so none is learnt there."""
    assert not any(
        bpe.SPACE_MARK in piece and len(piece) > 1 for piece in pieces(["left▁right", "right▁left"] * 100)
    )
    assert f"{bpe.SPACE_MARK}right" in pieces(["left right", "right left"] * 100)


def test_which_ids_begin_inside_a_character() -> None:
    tokens = bpe.BpeTokenizer(bpe.train(["any word", *OTHERS], vocab_size=300, what="words"))
    ids = tokens.encode("word é🙂 word")
    inside = tokens.inside_characters[ids].tolist()
    assert inside == [0x80 <= tokens.decode_bytes([index])[0] < 0xC0 for index in ids]
    assert sum(inside) == 4  # one of é, three of 🙂
    assert b"".join(tokens.decode_bytes([index]) for index in ids).decode() == "word é🙂 word"
