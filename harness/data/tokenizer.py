"""What a study may ask of a tokenizer, and what every tokenizer can do.

The ids 0, 1 and 2 are padding, the beginning and the end of a sequence in all of them; text never produces
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import Field, TypeAdapter

from harness.config import Config

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAD_ID, BOS_ID, EOS_ID = 0, 1, 2
FIRST_BYTE_ID = 3
BYTES_VOCAB_SIZE = FIRST_BYTE_ID + 256


class BpeConfig(Config):
    """Byte-pair encoding (Sennrich et al., 2016, §3.2) by sentencepiece, with bytes for characters it does
    not know.
    """

    kind: Literal["bpe"] = "bpe"
    vocab_size: int = Field(ge=300, le=1_000_000)
    """The number of tokens of the vocabulary."""


class BytesConfig(Config):
    """One token per byte of UTF-8."""

    kind: Literal["bytes"] = "bytes"

    @property
    def vocab_size(self) -> int:
        return BYTES_VOCAB_SIZE


TokenizerConfig = Annotated[BpeConfig | BytesConfig, Field(discriminator="kind")]

_ADAPTER: TypeAdapter[BpeConfig | BytesConfig] = TypeAdapter(TokenizerConfig)


def tokenizer_config(settings: BpeConfig | BytesConfig | Mapping[str, Any]) -> BpeConfig | BytesConfig:
    """The config that `settings` describe. Raises pydantic.ValidationError if they describe none."""
    return _ADAPTER.validate_python(settings)


class Tokenizer(Protocol):
    """Turns text into ids and back without loss: `decode(encode(text)) == text` for every text in UTF-8."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def digest(self) -> str:
        """Identifies the tokenizer: tokenizers with equal digests give equal ids."""

    def encode(self, text: str) -> list[int]: ...

    def encode_array(self, text: str) -> NDArray[np.int32]:
        """The same ids as an array of shape (tokens,), which is faster for long text."""

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes that the ids stand for. Special tokens stand for none."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids. Special tokens give no text; bytes that are not UTF-8, which a model may
        produce, give U+FFFD.
        """

    @property
    def inside_characters(self) -> NDArray[np.bool_]:
        """Of each id (V,), whether its bytes begin inside a character."""


def continues_character(content: bytes) -> bool:
    """Whether the bytes, a part of UTF-8, begin inside a character."""
    return bool(content) and content[0] & 0xC0 == 0x80


def complete_text(content: bytes) -> str:
    """The text of a part of UTF-8, without the characters of which the part has only some bytes."""
    start, end = 0, len(content)
    while start < end and continues_character(content[start : start + 1]):
        start += 1
    for position in range(end - 1, max(start, end - 4) - 1, -1):
        if content[position] >= 0xC0:  # the first byte of the last character tells how many it has
            size = 2 + (content[position] >= 0xE0) + (content[position] >= 0xF0)
            end = position if position + size > end else end
            break
    return content[start:end].decode(errors="replace")
