"""Settings of decoding as a study has them."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from harness.models.decoding.config import BeamSearch, Decoding, Greedy, Sampling, Speculative

_DECODING: TypeAdapter[Greedy | Sampling | BeamSearch | Speculative] = TypeAdapter(Decoding)


def decoding_config(settings: dict[str, Any]) -> Greedy | Sampling | BeamSearch | Speculative:
    """The config of `{kind: beam, width: 5}`. Raises pydantic's ValidationError if it is refused."""
    return _DECODING.validate_python(settings)
