"""What a model thinks of given texts, by teacher forcing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from harness.scoring.texts import LogLikelihoods


def teacher_forced(
    logits: Callable[[Tensor, Sequence[int]], Tensor],
    prompts: Sequence[Sequence[int]],
    rows: Sequence[Sequence[int]],
    batches: Iterable[Sequence[int]],
) -> LogLikelihoods:
    """log P of each row after its prompt.

    `logits` takes tokens (B, T), padded with 0, and the indices of their texts. `batches` has every index
    once, with texts of similar length together. The model reads prompt and row in one pass, so the result
    does not depend on the decoder that wrote the row.
    """
    nats, counts = [0.0] * len(rows), [0] * len(rows)
    for indices in batches:
        texts = [[*prompts[index], *rows[index]] for index in indices]
        width = max(map(len, texts))
        tokens = torch.tensor([ids + [0] * (width - len(ids)) for ids in texts])
        with torch.inference_mode():
            log_probabilities = logits(tokens[:, :-1], indices).double().log_softmax(dim=-1)
        of_tokens = log_probabilities.cpu().gather(2, tokens[:, 1:, None]).squeeze(2)  # (B, T - 1)
        for row, index in enumerate(indices):
            first, end = len(prompts[index]) - 1, len(texts[row]) - 1
            nats[index], counts[index] = float(of_tokens[row, first:end].sum()), end - first
    return LogLikelihoods(nats, counts)
