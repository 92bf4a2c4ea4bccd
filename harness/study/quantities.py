"""Times and sizes that a person may write with a unit: `30m`, `1.5h`, `4 GiB`."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_LARGEST = 1e15
DURATION = r"^[0-9]{1,12}(\.[0-9]{1,12})? ?[smhd]$"
SIZE = r"^[0-9]{1,12}(\.[0-9]{1,12})? ?([KMGT]i)?B$"


def seconds_of(written: Any) -> float:
    """`90s`, `30m`, `1.5h`, `2d`, or a number of seconds.

    Raises ValueError if it is neither, or not above zero.
    """
    return _quantity(written, DURATION, _SECONDS, "a time", "90s, 30m, 1.5h or a number of seconds")


def bytes_of(written: Any) -> int:
    """`512 MiB`, `4GiB`, or a number of bytes. Raises ValueError if it is neither, or not above zero."""
    size = _quantity(written, SIZE, _BYTES, "a size", "512 MiB, 4 GiB or a number of bytes")
    return math.ceil(size)


def _quantity(written: Any, pattern: str, units: dict[str, Any], what: str, examples: str) -> float:
    number: float | None = None
    if isinstance(written, str) and len(written) < 40 and re.fullmatch(pattern.strip("^$"), written):
        unit = re.sub(r"[0-9. ]", "", written)
        number = float(written.removesuffix(unit)) * units[unit]
    elif isinstance(written, int | float) and not isinstance(written, bool):
        number = written if abs(written) <= _LARGEST else None
    if number is None or not 0 < number <= _LARGEST:
        raise ValueError(f"this is not {what}; write for example {examples}")
    return float(number)


def _schema(pattern: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": pattern}]}
    )


Duration = Annotated[float, BeforeValidator(seconds_of), _schema(DURATION)]
"""Seconds, above zero."""
Size = Annotated[int, BeforeValidator(bytes_of), _schema(SIZE)]
"""Bytes, at least one."""
