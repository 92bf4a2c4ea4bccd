"""Hypotheses of a beam search: their scores, the ones that have ended, the tokens that they may not repeat."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import assert_never

import torch
from torch import Tensor

from harness.models.decoding.config import BeamSearch, GNMTPenalty, LengthPenalty, MeanPenalty


@dataclass(frozen=True, kw_only=True, slots=True)
class Hypothesis:
    """`tokens` without the prompt, the end token included; `score` is the penalised log-probability."""

    tokens: tuple[int, ...]
    log_probability: float
    score: float


def penalised(log_probability: float, *, length: int, penalty: LengthPenalty) -> float:
    """`length` counts the continuation, never the prompt (transformers#26624)."""
    match penalty:
        case GNMTPenalty():
            return float(log_probability / ((5 + length) / 6) ** penalty.alpha)
        case MeanPenalty():
            return log_probability / length
        case _:
            assert_never(penalty)


@dataclass(kw_only=True, slots=True)
class Ended:
    """What has ended of one row: its `n_best`, best first, and how many there were."""

    settings: BeamSearch
    best: list[Hypothesis] = field(default_factory=list)
    count: int = 0

    def add(self, tokens: tuple[int, ...], log_probability: float) -> None:
        score = penalised(log_probability, length=len(tokens), penalty=self.settings.length_penalty)
        self.count += 1
        self.best.append(Hypothesis(tokens=tokens, log_probability=log_probability, score=score))
        self.best.sort(key=lambda hypothesis: -hypothesis.score)
        del self.best[self.settings.n_best :]

    def is_final(self, best_live: float, *, longest: int) -> bool:
        """Whether the row is done, its best live beam having that log-probability.

        No hypothesis grows more probable, and the penalty is mildest for the longest: a live beam can reach
        its present log-probability at `longest` tokens, and no more.
        """
        if best_live == -math.inf:
            return True
        if self.settings.stop == "enough":
            return self.count >= self.settings.width
        reachable = penalised(best_live, length=longest, penalty=self.settings.length_penalty)
        return len(self.best) == self.settings.n_best and reachable <= self.best[-1].score


def repeated(tokens: Tensor, *, n: int) -> tuple[Tensor, Tensor]:
    """Which next tokens would complete an n-gram that is in its row (R, L) already: rows and tokens, one a
    case.
    """
    length = tokens.shape[1]
    if length < n:
        nothing = torch.empty(0, dtype=torch.long, device=tokens.device)
        return nothing, nothing
    ngrams = tokens.unfold(1, n, 1)  # (R, L - n + 1, n)
    newest = tokens[:, None, length - n + 1 :]  # (R, 1, n - 1)
    rows, places = (ngrams[..., :-1] == newest).all(dim=-1).nonzero(as_tuple=True)
    return rows, ngrams[rows, places, -1]
