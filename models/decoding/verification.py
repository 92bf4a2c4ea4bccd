"""How a draft's tokens are proposed and judged (Leviathan et al. 2023, §2.3; Chen et al. 2023, algorithm 2).

R rows, N proposed tokens of each, V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.models.decoding.config import Greedy, Sampling, Speculative
from harness.models.decoding.refusals import check_finite
from harness.models.decoding.sampling import distribution, draw, generators, uniforms


class Judge(ABC):
    """Once a round: `start`, then `propose` for each token of the draft, then `verify`."""

    @abstractmethod
    def start(self, live: Tensor) -> None:
        """A round begins for those rows of the prompt (R,)."""

    @abstractmethod
    def propose(self, logits: Tensor) -> Tensor:
        """The draft's logits (R, V) to its next token (R,)."""

    @abstractmethod
    def verify(self, logits: Tensor, proposed: Tensor) -> tuple[Tensor, Tensor]:
        """The target's logits (R, N + 1, V) before and after each of the proposed (R, N).

        To how many of them are accepted (R,), and the target's own token (R,) after these.
        """


class GreedyJudge(Judge):
    """Accepts what the target would have chosen itself."""

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
    """Accepts x with probability min(1, p(x) / q(x)), else draws from max(0, p - q): the result has p
    exactly.

    p is the target's and q the draft's distribution, both filtered. A row's random numbers are its own.
    """

    def __init__(self, settings: Sampling, *, batch: int, draft_tokens: int, device: torch.device) -> None:
        self._filters = settings.filters
        self._generators = generators(settings, batch)
        self._draft_tokens, self._device = draft_tokens, device

    def start(self, live: Tensor) -> None:
        # As many in every round, whether they are needed or not.
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
        # After the last proposed token there is no draft to make up for: q is nothing there.
        q = torch.stack([*self._q, torch.zeros_like(p[:, 0])], dim=1)
        of_p, of_q = (each[:, :-1].gather(2, proposed[..., None]).squeeze(2) for each in (p, q))  # (R, N)
        accepted = leading(self._judged[:, : proposed.shape[1]] * of_q < of_p)
        place = accepted[:, None, None].expand(-1, 1, p.shape[2])
        wanted = p.gather(1, place).squeeze(1)  # (R, V)
        left = residual(wanted, q.gather(1, place).squeeze(1))
        return accepted, draw(left, self._last)


def residual(p: Tensor, q: Tensor) -> Tensor:
    """max(0, p - q) (R, V), not normalised; p itself where rounding leaves nothing of it."""
    left = (p - q).clamp(min=0.0)
    return torch.where(left.sum(dim=-1, keepdim=True) > 0.0, left, p)


def leading(true: Tensor) -> Tensor:
    """How many of (R, N) are true before the first that is not: (R,)."""
    return F.pad(true, (0, 1)).int().argmin(dim=1)


def build_judge(settings: Speculative, *, batch: int, device: torch.device) -> Judge:
    match settings.choose:
        case Greedy():
            return GreedyJudge()
        case Sampling() as sampling:
            return SamplingJudge(sampling, batch=batch, draft_tokens=settings.draft_tokens, device=device)
