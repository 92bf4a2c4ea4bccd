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


def shift_right(rows: Tensor, lengths: Tensor, *, dim: int) -> None:
    """In place: row b's first `lengths[b]` entries along `dim` end where the longest row's do.

    What stands before them afterwards is left over and means nothing.
    """
    end = int(lengths.max())
    for row, length in zip(rows, lengths.tolist(), strict=True):
        if length < end:
            row.narrow(dim - 1, end - length, length).copy_(row.narrow(dim - 1, 0, length).clone())


def shifted_mask(valid: Tensor, lengths: Tensor) -> Tensor:
    """The mask (B, longest) that belongs to `shift_right`."""
    longest = int(lengths.max())
    shifted = valid[:, :longest].clone()
    shift_right(shifted, lengths, dim=1)
    columns = torch.arange(longest, device=valid.device)
    return shifted & (columns >= longest - lengths[:, None])
