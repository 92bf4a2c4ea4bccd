"""Tokenizers: what a study may ask for, and what every one of them can do.

Ids 0, 1, 2 are pad, bos and eos in all of them; text never produces those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import Field, TypeAdapter

from harness.config import Config

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.data.content import Corpus

PAD_ID, BOS_ID, EOS_ID = 0, 1, 2
FIRST_BYTE_ID = 3
BYTES_VOCAB_SIZE = FIRST_BYTE_ID + 256


class BpeConfig(Config):
    """Byte-pair encoding (Sennrich et al., 2016, §3.2) by sentencepiece, with bytes for characters it does
    not know.
    """

    kind: Literal["bpe"] = "bpe"
    vocab_size: int = Field(ge=300, le=1_000_000)


class BytesConfig(Config):
    """One token a byte of UTF-8."""

    kind: Literal["bytes"] = "bytes"

    @property
    def vocab_size(self) -> int:
        return BYTES_VOCAB_SIZE


TokenizerConfig = Annotated[BpeConfig | BytesConfig, Field(discriminator="kind")]

_ADAPTER: TypeAdapter[BpeConfig | BytesConfig] = TypeAdapter(TokenizerConfig)


def tokenizer_config(settings: BpeConfig | BytesConfig | Mapping[str, Any]) -> BpeConfig | BytesConfig:
    """The config that `settings` spell out. Raises pydantic.ValidationError."""
    return _ADAPTER.validate_python(settings)


class Tokenizer(Protocol):
    """Text to ids and back, exactly: `decode(encode(text)) == text` for every text that UTF-8 can write."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def digest(self) -> str:
        """Names what it does: tokenizers with equal digests give equal ids."""
        ...

    def encode(self, text: str) -> list[int]: ...

    def encode_array(self, text: str) -> NDArray[np.int32]:
        """`encode` for long text, of shape (tokens,)."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Special tokens give no text; bytes that are not UTF-8, as a model may produce them, give U+FFFD."""
        ...


def build_tokenizer(config: BpeConfig | BytesConfig, corpus: Corpus) -> Tokenizer:
    """The tokenizer of `config`, trained on the training split of `corpus` or taken from the cache.

    CorpusError: the corpus has too little text, or too many characters, for `vocab_size`.
    """
    if isinstance(config, BytesConfig):
        return ByteTokenizer()
    from harness.data.bpe import bpe_tokenizer

    return bpe_tokenizer(config, corpus)


class ByteTokenizer:
    """Ids 3 to 258 are the bytes 0 to 255."""

    vocab_size = BYTES_VOCAB_SIZE
    digest = "bytes-1"

    def encode(self, text: str) -> list[int]:
        return [byte + FIRST_BYTE_ID for byte in text.encode()]

    def encode_array(self, text: str) -> NDArray[np.int32]:
        import numpy as np

        return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32) + np.int32(FIRST_BYTE_ID)

    def decode(self, ids: Iterable[int]) -> str:
        return bytes(index - FIRST_BYTE_ID for index in ids if index >= FIRST_BYTE_ID).decode(
            errors="replace"
        )
