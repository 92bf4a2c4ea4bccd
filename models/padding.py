"""Rows of different lengths in one batch: aligned on the right, with padding before them.

B rows, L columns, T new tokens. A mask `valid` (B, L) is True at real tokens. The newest token of every row
is in the last column.
"""

from __future__ import annotations

import torch
from torch import Tensor


def all_real(batch: int, tokens: int, device: torch.device) -> Tensor:
    """The mask (B, T) of rows without padding."""
    return torch.ones((batch, tokens), dtype=torch.bool, device=device)


def unless_all_real(valid: Tensor) -> Tensor | None:
    """The mask, or None without padding: then attention needs no mask."""
    return None if bool(valid.all()) else valid


def leading_padding(valid: Tensor) -> int:
    """The number of columns at the start that are padding in every row."""
    return int(valid.any(dim=0).int().argmax())


def columns_needed(valid: Tensor, lengths: Tensor) -> int:
    """The number of columns that real tokens need after row b is cut to its first `lengths[b]` columns."""
    before = valid.int().argmax(dim=1)  # padding before the first real token
    return int((lengths - before).max())


def align_right(rows: Tensor, lengths: Tensor, *, end: int, dim: int) -> None:
    """Move the columns of row b that end at column `lengths[b]` so that they end at column `end` of `dim`, in
    place.

    The columns before them have no meaning.
    """
    for row, length in zip(rows, lengths.tolist(), strict=True):
        count = min(length, end)
        if length != end:
            moved = row.narrow(dim - 1, length - count, count).clone()
            row.narrow(dim - 1, end - count, count).copy_(moved)


def aligned_mask(valid: Tensor, lengths: Tensor, *, end: int) -> Tensor:
    """The mask (B, end) after `align_right`."""
    origin = torch.arange(end, device=valid.device) - end + lengths[:, None]  # (B, end)
    return valid.gather(1, origin.clamp(min=0)) & (origin >= 0)
