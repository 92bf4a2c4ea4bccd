"""Comparison of decoded tokens with the tokens that the model finds best."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from harness.invariants.base import Check, tolerance_of
from harness.invariants.support.compare import BROKEN, decisive_gap, error_line, too_many_skipped
from harness.models.config import LearnedPosition, ModelConfig
from harness.models.init import build_model
from harness.models.transformer import Transformer


def tiny_model(*, vocabulary: int, dtype: torch.dtype) -> Transformer:
    """A random model with logits that differ enough for continuations to vary."""
    config = ModelConfig(
        vocab_size=vocabulary,
        d_model=16,
        n_layers=2,
        n_heads=2,
        d_ff=32,
        max_positions=32,
        position=LearnedPosition(),
        tie_embeddings=False,
        init_std=0.6,
    )
    return build_model(config, 0, dtype=dtype).eval()


def random_prompts(rows: int, tokens: int, *, vocabulary: int) -> Tensor:
    return torch.randint(vocabulary, (rows, tokens), generator=torch.Generator().manual_seed(1))


def compare_greedy(
    case: str,
    *,
    forced: Callable[[Tensor], Tensor],
    prompts: Tensor,
    observed: Callable[[], Tensor],
    dtype: torch.dtype,
) -> Check:
    """Compare the tokens (B, N) that `observed` decodes with the best tokens under teacher forcing.

    `forced` returns the logits (B, T, V) of tokens (B, T), without a cache, in `dtype`. A position counts if
    the difference between its two best logits is decisive; at most 1 % of positions may be undecided.
    `deviation` says how far the tokens' logits are below the best ones. The check fails if `observed` raises
    an error.
    """
    precision, tolerance = tolerance_of(dtype)
    problems: list[str] = []
    deviation, compared, skipped = math.inf, 0, 0
    try:
        tokens = observed()
        logits = _teacher_forced(forced, prompts, tokens)  # (B, N, V)
    except BROKEN as error:
        problems.append(error_line(error))
    else:
        best = logits.topk(2, dim=-1).values
        undecided = best[..., 0] - best[..., 1] <= decisive_gap(logits)
        below = (best[..., 0] - logits.gather(2, tokens[..., None]).squeeze(2)).masked_fill(undecided, 0.0)
        compared, skipped = tokens.numel(), int(undecided.sum())
        deviation = float(below.max() / logits.abs().max())
        different = int((below > 0).sum())
        if different:
            row, position = (below > 0).nonzero()[0].tolist()
            problems.append(
                f"{different} of {compared} tokens differ, first at position {position} of row {row}"
            )
        if too_many_skipped(skipped, compared, logits.dtype):
            problems.append(f"{skipped} of {compared} positions have no decisive token")
    return Check(
        case=case,
        precision=precision,
        passed=not problems,
        deviation=deviation,
        tolerance=tolerance,
        compared=compared,
        skipped=skipped,
        detail="; ".join(problems),
    )


@torch.inference_mode()
def _teacher_forced(forced: Callable[[Tensor], Tensor], prompts: Tensor, tokens: Tensor) -> Tensor:
    """The logits (B, N, V) from which each token was chosen, in one pass without a cache."""
    logits = forced(torch.cat((prompts, tokens[:, :-1]), dim=1))
    return logits[:, prompts.shape[1] - 1 :]
