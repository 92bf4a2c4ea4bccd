"""How a draft's tokens are proposed and judged (Leviathan et al. 2023, §2.3; Chen et al. 2023, algorithm 2).

R rows, N proposed tokens of each, V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.models.decoding.base import check_finite
from harness.models.decoding.config import Greedy, Sampling, Speculative
from harness.models.decoding.sampling import distribution, draw, generators, uniforms


class Judge(ABC):
    """In every round: `start`, then `propose` for each token of the draft, then `verify`."""

    @abstractmethod
    def start(self, live: Tensor) -> None:
        """Begin a round for those rows of the prompt (R,)."""

    @abstractmethod
    def propose(self, logits: Tensor) -> Tensor:
        """The draft's logits (R, V) to its next token (R,)."""

    @abstractmethod
    def verify(self, logits: Tensor, proposed: Tensor) -> tuple[Tensor, Tensor]:
        """How many of the proposed tokens (R, N) are accepted (R,), and the target's own next token (R,).

        The target's logits are (R, N + 1, V): those before each proposed token, and after the last.
        """


class GreedyJudge(Judge):
    """Accepts the tokens that the target would have chosen itself."""

    def start(self, live: Tensor) -> None:
        """Nothing is drawn."""

    def propose(self, logits: Tensor) -> Tensor:
        return logits.argmax(dim=-1)

    def verify(self, logits: Tensor, proposed: Tensor) -> tuple[Tensor, Tensor]:
        values, best = logits.max(dim=-1)  # (R, N + 1)
        check_finite("speculative", values)
        accepted = leading(best[:, :-1] == proposed)
        return accepted, best.gather(1, accepted[:, None]).squeeze(1)


class SamplingJudge(Judge):
    """Accepts x with probability min(1, p(x) / q(x)), otherwise draws from max(0, p - q), which samples
    exactly p.

    p is the target's distribution and q the draft's, both filtered. Every row has random numbers of its own.
    """

    def __init__(self, settings: Sampling, *, batch: int, draft_tokens: int, device: torch.device) -> None:
        self._filters = settings.filters
        self._generators = generators(settings, batch)
        self._draft_tokens, self._device = draft_tokens, device

    def start(self, live: Tensor) -> None:
        # The same number in every round, whether all are needed or not.
        rows = [self._generators[row] for row in live.tolist()]
        numbers = uniforms(rows, 2 * self._draft_tokens + 1, device=self._device)
        self._drawn, self._judged = numbers[:, 1:].chunk(2, dim=1)  # each (R, draft_tokens)
        self._last = numbers[:, 0]
        self._q: list[Tensor] = []

    def propose(self, logits: Tensor) -> Tensor:
        q = distribution("speculative", logits, self._filters)
        numbers = self._drawn[:, len(self._q)]
        self._q.append(q)
        return draw(q, numbers)

    def verify(self, logits: Tensor, proposed: Tensor) -> tuple[Tensor, Tensor]:
        p = distribution("speculative", logits, self._filters)  # (R, N + 1, V)
        # After the last proposed token there is no draft to correct, so q is 0 there.
        q = torch.stack([*self._q, torch.zeros_like(p[:, 0])], dim=1)
        target, draft = (
            tensor[:, :-1].gather(2, proposed[..., None]).squeeze(2) for tensor in (p, q)
        )  # (R, N)
        accepted = leading(self._judged[:, : proposed.shape[1]] * draft < target)
        index = accepted[:, None, None].expand(-1, 1, p.shape[2])
        next_p = p.gather(1, index).squeeze(1)  # (R, V)
        left = residual(next_p, q.gather(1, index).squeeze(1))
        return accepted, draw(left, self._last)


def residual(p: Tensor, q: Tensor) -> Tensor:
    """max(0, p - q) (R, V), not normalised, or p itself if rounding leaves only zeros."""
    left = (p - q).clamp(min=0.0)
    return torch.where(left.sum(dim=-1, keepdim=True) > 0.0, left, p)


def leading(true: Tensor) -> Tensor:
    """The number (R,) of leading True values in each row of (R, N)."""
    return F.pad(true, (0, 1)).int().argmin(dim=1)


def build_judge(settings: Speculative, *, batch: int, device: torch.device) -> Judge:
    match settings.choose:
        case Greedy():
            return GreedyJudge()
        case Sampling() as sampling:
            return SamplingJudge(sampling, batch=batch, draft_tokens=settings.draft_tokens, device=device)
