"""Dots of figures with very many trials: an even choice that has the extreme values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

MOST_DOTS = 1_000
"""The largest number of dots that are chosen for a panel, without the extreme values of the groups."""


def thinned(points: pd.DataFrame, column: str, by: Sequence[str] = ()) -> pd.DataFrame:
    """Rows that are chosen evenly, and those with the smallest and the largest value of the column in each
    group, in their order. All rows if they are few.
    """
    if len(points) <= MOST_DOTS:
        return points
    numbered = points.reset_index(drop=True)
    chosen = set(np.linspace(0, len(numbered) - 1, MOST_DOTS).round().astype(int).tolist())
    groups = [group for _, group in numbered.groupby(list(by))] if by else [numbered]
    for group in groups:
        values = group[column].to_numpy()
        chosen |= {int(group.index[int(values.argmin())]), int(group.index[int(values.argmax())])}
    return numbered.iloc[sorted(chosen)]


def thinned_note(panels: Sequence[pd.DataFrame]) -> tuple[str, ...]:
    """What a figure says about the dots that it does not draw. Empty if it draws all of them."""
    many = max(map(len, panels), default=0)
    if many <= MOST_DOTS:
        return ()
    note = (
        f"A panel has up to {many:,} values, of which about {MOST_DOTS:,} are drawn: an even choice in their "
        "order, with the smallest and the largest of each arm. Medians and n count all of them."
    )
    return (note,)
