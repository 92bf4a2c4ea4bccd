"""The base of every config that is read from a file (frozen, strict, unknown keys refused), and the id of its
content.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Strict

FROM_LIST = Strict(strict=False)
"""For a field that is a tuple: YAML has lists alone, and a `mode="before"` validator would have them refused.
"""


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @classmethod
    def read(cls, document: Any) -> Self:
        """Validate plain data (mappings, lists, scalars) by JSON's rules: `3` is no string, `"3"` no number,
        a list may be a tuple.

        Raises pydantic.ValidationError, whose locations are paths into the document.
        """
        return cls.model_validate_json(json.dumps(document))

    def plain(self) -> dict[str, Any]:
        """Plain data with every default filled in: what is hashed, stored and sent to workers."""
        return self.model_dump(mode="json")


def canonical_json(value: Any) -> str:
    """One text for equal values: sorted keys, no white space, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """The first 16 hex digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]
