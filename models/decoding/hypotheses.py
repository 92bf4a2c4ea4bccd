"""Hypotheses of a beam search: scores, those that have ended, and tokens that they may not repeat."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import assert_never

import torch
from torch import Tensor

from harness.models.decoding.config import BeamSearch, GNMTPenalty, LengthPenalty, MeanPenalty


@dataclass(frozen=True, kw_only=True, slots=True)
class Hypothesis:
    """`tokens` are without the prompt and with the end token; `score` is the penalised log-probability."""

    tokens: tuple[int, ...]
    log_probability: float
    score: float


def penalised(log_probability: float, *, length: int, penalty: LengthPenalty) -> float:
    """The log-probability with the length penalty. `length` never counts the prompt (transformers#26624)."""
    match penalty:
        case GNMTPenalty():
            return float(log_probability / ((5 + length) / 6) ** penalty.alpha)
        case MeanPenalty():
            return log_probability / length
        case _:
            assert_never(penalty)


@dataclass(kw_only=True, slots=True)
class Ended:
    """The hypotheses of one row that have ended: the `n_best`, best first, and the number of all of them."""

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
        """Whether the row is done, given the log-probability of its best live beam.

        A hypothesis never becomes more probable, and the penalty is mildest for the longest. So the best that
        a live beam can reach is its present log-probability at `longest` tokens.
        """
        if best_live == -math.inf:
            return True
        if self.settings.stop == "enough":
            return self.count >= self.settings.width
        reachable = penalised(best_live, length=longest, penalty=self.settings.length_penalty)
        return len(self.best) == self.settings.n_best and reachable <= self.best[-1].score


def repeated(tokens: Tensor, *, n: int) -> tuple[Tensor, Tensor]:
    """The next tokens that would repeat an n-gram of their row (R, L): indices of rows, and tokens."""
    length = tokens.shape[1]
    if length < n:
        nothing = torch.empty(0, dtype=torch.long, device=tokens.device)
        return nothing, nothing
    ngrams = tokens.unfold(1, n, 1)  # (R, L - n + 1, n)
    newest = tokens[:, None, length - n + 1 :]  # (R, 1, n - 1)
    rows, places = (ngrams[..., :-1] == newest).all(dim=-1).nonzero(as_tuple=True)
    return rows, ngrams[rows, places, -1]
