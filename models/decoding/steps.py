"""One token per step for every row until it ends, as greedy decoding and sampling share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from harness.models.config import CacheKind
from harness.models.decoding.base import Decodable
from harness.models.decoding.decoding_state import open_rows

# From the logits (R, V) of the rows that continue and their indices among the prompts (R,) to their next
# tokens (R,).
Choose = Callable[[Tensor, Tensor], Tensor]


def token_steps(
    model: Decodable,
    prompt: Tensor,
    choose: Choose,
    *,
    new_tokens: int,
    cache: CacheKind,
    end: int | None,
    valid: Tensor | None,
) -> Iterator[Tensor]:
    """Yield the tokens (B,) of each step.

    A row that has ended leaves the batch, and is filled up with `end`.
    """
    batch, length = prompt.shape
    # Inference mode is entered for each step anew, because a generator would leave it on in its caller.
    with torch.inference_mode():
        rows = open_rows(
            model, batch=batch, capacity=length + new_tokens - 1, cache=cache, device=prompt.device
        )
        live = torch.arange(batch, device=prompt.device)
        token = step = choose(rows.feed(prompt, valid=valid), live)  # (B,)
    yield step
    for _ in range(new_tokens - 1):
        with torch.inference_mode():
            if end is not None:
                going_on = (token != end).nonzero().flatten()
                if not len(going_on):
                    return
                if len(going_on) < len(live):
                    rows.keep(going_on)
                    live, token = live[going_on], token[going_on]
            token = step = choose(rows.feed(token[:, None]), live)  # (R,)
            if len(live) < batch and end is not None:
                step = torch.full((batch,), end, dtype=token.dtype, device=token.device)
                step[live] = token
        yield step
