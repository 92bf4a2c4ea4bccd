"""The tokenizer that a study asks for: learnt pieces, or bytes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from harness.data.bpe import bpe_tokenizer
from harness.data.content import Corpus
from harness.data.tokenizer import (
    BYTES_VOCAB_SIZE,
    FIRST_BYTE_ID,
    BpeConfig,
    BytesConfig,
    Tokenizer,
    continues_character,
)


def build_tokenizer(config: BpeConfig | BytesConfig, corpus: Corpus) -> Tokenizer:
    """The tokenizer of `config`, trained on the training split of `corpus` or taken from the cache.

    Raises CorpusError if the corpus has too little text, or too many characters, for `vocab_size`.
    """
    if isinstance(config, BytesConfig):
        return ByteTokenizer()
    return bpe_tokenizer(config, corpus)


class ByteTokenizer:
    """Every byte of UTF-8 is a token: ids 3 to 258 are the bytes 0 to 255."""

    vocab_size = BYTES_VOCAB_SIZE
    digest = "bytes-1"

    def encode(self, text: str) -> list[int]:
        return [byte + FIRST_BYTE_ID for byte in text.encode()]

    def encode_array(self, text: str) -> NDArray[np.int32]:
        return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32) + np.int32(FIRST_BYTE_ID)

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        return bytes(index - FIRST_BYTE_ID for index in ids if index >= FIRST_BYTE_ID)

    def decode(self, ids: Iterable[int]) -> str:
        return self.decode_bytes(ids).decode(errors="replace")

    @property
    def inside_characters(self) -> NDArray[np.bool_]:
        return np.array([continues_character(self.decode_bytes([index])) for index in range(self.vocab_size)])
