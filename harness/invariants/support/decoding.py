"""Comparison of decoded tokens with the tokens that the model finds best."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from harness.invariants.base import Check, tolerance_of
from harness.invariants.support.compare import Judgement, decisive_gap, judged, too_many_skipped
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

    def decoded() -> tuple[Tensor, Tensor]:
        tokens = observed()
        return tokens, _teacher_forced(forced, prompts, tokens)

    def judge(tokens_and_logits: tuple[Tensor, Tensor]) -> Judgement:
        tokens, logits = tokens_and_logits  # (B, N), (B, N, V)
        best = logits.topk(2, dim=-1).values
        undecided = best[..., 0] - best[..., 1] <= decisive_gap(logits)
        below = (best[..., 0] - logits.gather(2, tokens[..., None]).squeeze(2)).masked_fill(undecided, 0.0)
        compared, skipped = tokens.numel(), int(undecided.sum())
        problems = too_many_skipped(skipped, compared, logits.dtype)
        different = int((below > 0).sum())
        if different:
            row, position = (below > 0).nonzero()[0].tolist()
            first = f"first at position {position} of row {row}"
            problems.insert(0, f"{different} of {compared} tokens differ, {first}")
        return Judgement(float(below.max() / logits.abs().max()), compared, skipped, problems)

    return judged(case, dtype=dtype, tolerance=tolerance_of(dtype)[1], observed=decoded, judge=judge)


@torch.inference_mode()
def _teacher_forced(forced: Callable[[Tensor], Tensor], prompts: Tensor, tokens: Tensor) -> Tensor:
    """The logits (B, N, V) from which each token was chosen, in one pass without a cache."""
    logits = forced(torch.cat((prompts, tokens[:, :-1]), dim=1))
    return logits[:, prompts.shape[1] - 1 :]
