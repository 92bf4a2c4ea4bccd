"""Byte-pair encoding with sentencepiece, without loss.

sentencepiece alone does not restore every text: it writes a space as U+2581 and therefore reads that
character as a space, its trainer treats a line end as the end of a sentence and leaves out every line that
contains U+2585, and its special tokens have names that text may contain. Here both characters are encoded as
their three bytes and divide the lines that the trainer sees, a line end is always a byte token (no learnt
piece contains one, so that lines can be encoded separately), special tokens have names with a line end in
them, and decoding joins the bytes that each id stands for.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import sentencepiece

from harness.config import digest
from harness.data.cache import cache_dir, read_checksummed, write_checksummed
from harness.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, BpeConfig, continues_character
from harness.errors import CorpusError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.data.content import Corpus

UNK_ID = 3  # sentencepiece requires one; with byte fallback no text is unknown
SPACE_MARK = "\u2581"
UNKNOWN_MARK = "\u2585"
SAMPLE_CHARACTERS = 20_000_000
LINE_CHARACTERS = 4_000  # sentencepiece's time grows faster than the length of a line
CHUNK_CHARACTERS = 1_000  # lines are encoded together up to this length, which halves the time of short ones

_CHUNKS = re.compile(
    rf"{SPACE_MARK}|[^{SPACE_MARK}]{{0,{CHUNK_CHARACTERS - 1}}}\n|[^\n{SPACE_MARK}]{{1,{LINE_CHARACTERS}}}"
)
# A learnt piece that is spelt like a byte token would replace it.
_NOT_LEARNT = re.compile(rf"<0x[0-9A-F]{{2}}>|[{SPACE_MARK}{UNKNOWN_MARK}]")

# Everything that decides what is learnt. It is part of the key in the cache.
TRAINING: dict[str, Any] = {
    "model_type": "bpe",
    "byte_fallback": True,
    "normalization_rule_name": "identity",
    "add_dummy_prefix": False,
    "remove_extra_whitespaces": False,
    "allow_whitespace_only_pieces": True,
    "character_coverage": 0.9995,
    "max_sentence_length": 4 * LINE_CHARACTERS
    + 4,  # in bytes; longer ones would be left out without a message
    "num_threads": 1,  # the model's bytes contain this number and must not depend on the machine
    "pad_id": PAD_ID,
    "bos_id": BOS_ID,
    "eos_id": EOS_ID,
    "unk_id": UNK_ID,
    "pad_piece": "<\npad>",
    "bos_piece": "<\nbos>",
    "eos_piece": "<\neos>",
    "unk_piece": "<\nunk>",
}


def bpe_tokenizer(config: BpeConfig, corpus: Corpus) -> BpeTokenizer:
    """The tokenizer that is learnt from the training split of `corpus`, from the cache if it is there."""
    key = digest(
        {
            "corpus": corpus.digest,
            "vocab_size": config.vocab_size,
            "training": TRAINING,
            "sample": [SAMPLE_CHARACTERS, LINE_CHARACTERS, _NOT_LEARNT.pattern],
            "sentencepiece": sentencepiece.__version__,
        }
    )
    path = cache_dir() / "tokenizers" / key
    model = read_checksummed(path)
    if model is None:
        model = train(corpus.sentences("train"), vocab_size=config.vocab_size, what=corpus.name)
        write_checksummed(path, model)
    return BpeTokenizer(model)


def train(lines: Sequence[str], *, vocab_size: int, what: str) -> bytes:
    """A sentencepiece model; the same bytes for the same lines.

    Raises CorpusError, which names the corpus `what`, if the lines are unfit for `vocab_size`.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=training_sample(lines),
            model_writer=model,
            vocab_size=vocab_size,
            minloglevel=2,
            **TRAINING,
        )
    except RuntimeError as error:
        reason = str(error).rsplit("] ", 1)[-1].strip().rstrip(".") or "it has no text"
        raise CorpusError(
            f"a tokenizer of {vocab_size} tokens cannot be learnt from {what!r}: {reason}"
        ) from error
    return model.getvalue()


def training_sample(lines: Sequence[str]) -> Iterator[str]:
    """About SAMPLE_CHARACTERS of `lines` at most, evenly spread, in pieces that the trainer takes."""
    step = -(-sum(map(len, lines)) // SAMPLE_CHARACTERS) or 1
    for line in lines[::step]:
        for part in _NOT_LEARNT.split(line):
            for start in range(0, len(part), LINE_CHARACTERS):
                yield part[start : start + LINE_CHARACTERS].replace("\n", " ")


class BpeTokenizer:
    """A sentencepiece model, whose pieces are decoded to the bytes that they stand for."""

    def __init__(self, model: bytes) -> None:
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.vocab_size: int = self._processor.vocab_size()
        self.digest = hashlib.sha256(model).hexdigest()
        self._bytes = [self._bytes_of(index) for index in range(self.vocab_size)]
        first_byte_id = self._processor.piece_to_id("<0x00>")
        self._mark_ids = np.array([first_byte_id + byte for byte in SPACE_MARK.encode()], dtype=np.int32)

    def _bytes_of(self, index: int) -> bytes:
        piece: str = self._processor.id_to_piece(index)
        if self._processor.is_byte(index):
            return bytes([int(piece[3:5], 16)])
        special = self._processor.is_control(index) or self._processor.is_unknown(index)
        return b"" if special else piece.replace(SPACE_MARK, " ").encode()

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.encode_array(text).tolist()
        return ids

    def encode_array(self, text: str) -> NDArray[np.int32]:
        chunks = _CHUNKS.findall(text)
        encoded = self._processor.encode(chunks, out_type="numpy", num_threads=-1 if len(chunks) > 100 else 1)
        if SPACE_MARK in text:
            encoded = [
                self._mark_ids if chunk == SPACE_MARK else ids
                for chunk, ids in zip(chunks, encoded, strict=True)
            ]
        return np.concatenate([np.empty(0, dtype=np.int32), *encoded])

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        return b"".join(map(self._bytes.__getitem__, ids))

    def decode(self, ids: Iterable[int]) -> str:
        return self.decode_bytes(ids).decode(errors="replace")

    @property
    def inside_characters(self) -> NDArray[np.bool_]:
        return np.array([continues_character(content) for content in self._bytes])
