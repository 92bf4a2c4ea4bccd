"""Steady state within one launch: when the times of a repeated unit of work have stopped falling."""

from __future__ import annotations

from collections.abc import Sequence


def steady(seconds: Sequence[float], *, window: int, tolerance: float) -> bool:
    """Whether the last `window` units, each a complete piece of the same work, differ by at most `tolerance`.

    The difference is the slowest over the fastest, less 1; fewer units than the window are not steady, nor is
    NaN.
    """
    last = seconds[-window:]
    return len(last) == window and all(value <= min(last) * (1 + tolerance) for value in last)
