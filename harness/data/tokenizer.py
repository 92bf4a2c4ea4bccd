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

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids. Special tokens give no text; bytes that are not UTF-8, which a model may
        produce, give U+FFFD.
        """
