"""Rows of different lengths side by side: aligned on the right, padding before them.

A mask `valid` (B, L) is True at real tokens. On the right every row's newest token is in the last column.
"""

from __future__ import annotations

import torch
from torch import Tensor


def all_real(batch: int, tokens: int, device: torch.device) -> Tensor:
    """The mask (B, T) of rows without padding."""
    return torch.ones((batch, tokens), dtype=torch.bool, device=device)


def unless_all_real(valid: Tensor) -> Tensor | None:
    """None where there is no padding left to speak of: then attention needs no mask."""
    return None if bool(valid.all()) else valid


def leading_padding(valid: Tensor) -> int:
    """Columns at the start that are padding in every row."""
    return int(valid.any(dim=0).int().argmax())


def columns_needed(valid: Tensor, lengths: Tensor) -> int:
    """How many columns hold the real tokens of every row when row b is cut to its first `lengths[b]` columns."""
    before = valid.int().argmax(dim=1)  # padding before the first real token
    return int((lengths - before).max())


def align_right(rows: Tensor, lengths: Tensor, *, end: int, dim: int) -> None:
    """In place: let what stands before column `lengths[b]` of row b stand before column `end` along `dim`.

    What is left over before it means nothing.
    """
    for row, length in zip(rows, lengths.tolist(), strict=True):
        count = min(length, end)
        if length != end:
            moved = row.narrow(dim - 1, length - count, count).clone()
            row.narrow(dim - 1, end - count, count).copy_(moved)


def aligned_mask(valid: Tensor, lengths: Tensor, *, end: int) -> Tensor:
    """The mask (B, end) that belongs to `align_right`."""
    origin = torch.arange(end, device=valid.device) - end + lengths[:, None]  # (B, end)
    return valid.gather(1, origin.clamp(min=0)) & (origin >= 0)
