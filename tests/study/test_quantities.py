"""Times and sizes with a unit."""

from __future__ import annotations

import math
from typing import Any

import pytest

from harness.study.quantities import bytes_of, seconds_of


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90.0),
        ("30m", 1800.0),
        ("1.5h", 5400.0),
        ("2d", 172_800.0),
        ("5 m", 300.0),
        (7, 7.0),
        (0.5, 0.5),
    ],
)
def test_a_time_is_a_number_of_seconds_or_has_a_unit(written: Any, seconds: float) -> None:
    assert seconds_of(written) == seconds


@pytest.mark.parametrize(
    "written",
    [
        *(
            "0s",
            "0.0h",
            "abc",
            "90",
            "-5m",
            "1h30m",
            "",
            "infs",
            "1e3s",
            "5\nm",
            "٣s",
            "9" * 40 + "s",
            "4 GiB",
        ),
        *(0, -1, math.inf, math.nan, 10**400, True, None, [1]),
    ],
)
def test_what_is_not_a_time_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="this is not a time; write for example 90s, 30m"):
        seconds_of(written)


@pytest.mark.parametrize(
    ("written", "size"),
    [("512 MiB", 2**29), ("4GiB", 2**32), ("1.5 KiB", 1536), ("7 B", 7), (100, 100), ("2TiB", 2**41)],
)
def test_a_size_is_a_number_of_bytes_or_has_a_unit(written: Any, size: int) -> None:
    assert bytes_of(written) == size


@pytest.mark.parametrize("written", ["4 GB", "4", "GiB", "-1 MiB", 0, "0 B", None, "1 s"])
def test_what_is_not_a_size_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="this is not a size; write for example 512 MiB"):
        bytes_of(written)
