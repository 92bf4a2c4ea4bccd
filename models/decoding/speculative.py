"""Speculative decoding: a small model drafts, a large one verifies several tokens in one pass.

The result is the large one's alone (Leviathan et al. 2023; Chen et al. 2023).
R rows that have not ended, N proposed tokens of each, V vocabulary.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.models.config import CacheKind
from harness.models.decoding.base import Decodable, Scorer, check_finite, check_prompt
from harness.models.decoding.config import Greedy, Sampling, Speculative
from harness.models.decoding.decoding_state import Rows, open_rows
from harness.models.decoding.sampling import distribution, draw, generators, uniforms


class TargetAndDraft(NamedTuple):
    """Two models with the same vocabulary."""

    target: Scorer
    draft: Decodable


@dataclass(frozen=True, kw_only=True, slots=True)
class Speculated:
    """`tokens` are (B, N), and rows are filled up with the end token. `rounds` is the number of passes of the
    target model after the prompt.
    """

    tokens: Tensor
    drafted: int
    accepted: int
    rounds: int

    @property
    def acceptance_rate(self) -> float:
        """The share of the drafted tokens that the target accepted; NaN if no token was drafted."""
        return self.accepted / self.drafted if self.drafted else math.nan


def speculative(
    models: TargetAndDraft,
    prompt: Tensor,
    settings: Speculative,
    *,
    new_tokens: int,
    cache: CacheKind,
    end: int | None = None,
    valid: Tensor | None = None,
) -> Speculated:
    """Continue prompts (B, P) with the target's greedy tokens, or by sampling from its exact distribution.

    Both models use this kind of cache. Rows accept different numbers of tokens and leave the batch when they
    end. Raises ValueError if the continuation would exceed the max_positions of one of the models (before
    anything runs), and if logits are not finite or the vocabularies differ.
    """
    for model in models:
        check_prompt("speculative", model, prompt, new_tokens=new_tokens, valid=valid)
    with torch.inference_mode():
        run = _Run(models, prompt, settings, new_tokens=new_tokens, cache=cache, end=end)
        run.prefill(prompt, valid)
        while len(run.live):
            run.round()
    return Speculated(
        tokens=run.tokens[:, : int(run.written.max())],
        drafted=run.drafted,
        accepted=run.accepted,
        rounds=run.rounds,
    )


class _Run:
    """Both models have been fed all tokens except the newest of each row, `self._newest` (R,)."""

    def __init__(
        self,
        models: TargetAndDraft,
        prompt: Tensor,
        settings: Speculative,
        *,
        new_tokens: int,
        cache: CacheKind,
        end: int | None,
    ) -> None:
        batch, length = prompt.shape
        self._settings, self._new_tokens, self._end = settings, new_tokens, end
        self._most = min(model.max_positions for model in models)
        capacity = min(length + new_tokens - 1 + settings.draft_tokens, self._most)
        self._target, self._draft = (
            open_rows(model, batch=batch, capacity=capacity, cache=cache, device=prompt.device)
            for model in models
        )
        self._judge: Judge = build_judge(settings, batch=batch, device=prompt.device)
        self.tokens = torch.full((batch, new_tokens), -1 if end is None else end, device=prompt.device)
        self.written = torch.zeros(batch, dtype=torch.long, device=prompt.device)
        self.live = torch.arange(batch, device=prompt.device)
        self.drafted = self.accepted = self.rounds = 0

    def prefill(self, prompt: Tensor, valid: Tensor | None) -> None:
        logits = self._target.feed(prompt, valid=valid)  # (B, V)
        drafted = self._draft.feed(prompt, valid=valid)
        if logits.shape != drafted.shape:
            raise ValueError(
                f"speculative: the target has a vocabulary of {logits.shape[1]} tokens and the draft one of "
                f"{drafted.shape[1]}; use models with the same vocabulary"
            )
        self._judge.start(self.live)
        nothing = prompt[:, :0]
        accepted, newest = self._judge.verify(logits[:, None], nothing)
        self._write(nothing, accepted, newest)

    def round(self) -> None:
        """Draft tokens, verify them, roll both models back to the accepted tokens, and store these."""
        count = self._draft_tokens()
        self._judge.start(self.live)
        fed = self._newest[:, None]  # (R, 1 + N in the end)
        for _ in range(count):
            proposed = self._judge.propose(self._draft.feed(fed[:, -1:]))
            fed = torch.cat((fed, proposed[:, None]), dim=1)
        accepted, newest = self._judge.verify(self._target.score(fed), fed[:, 1:])
        self.rounds += 1
        self.drafted += fed[:, 1:].numel()
        self.accepted += int(accepted.sum())
        behind = 1
        if bool((accepted == count).any()):
            self._draft.feed(fed[:, -1:])  # accepted, but not fed to the draft yet
            behind = 0
        _roll_back(self._target, count - accepted)
        _roll_back(self._draft, count - accepted - behind)
        self._write(fed[:, 1:], accepted, newest)

    def _draft_tokens(self) -> int:
        """The number of tokens to draft: as requested, but no more than any row can use or than there is room
        for.
        """
        most_left = self._new_tokens - int(self.written[self.live].min())
        return min(self._settings.draft_tokens, most_left - 1, self._most - self._target.length - 1)

    def _write(self, proposed: Tensor, accepted: Tensor, newest: Tensor) -> None:
        """Store the accepted tokens of (R, N) and the target's own (R,); rows that have ended leave."""
        block = F.pad(proposed, (0, 1)).scatter(1, accepted[:, None], newest[:, None])  # (R, N + 1)
        columns = torch.arange(block.shape[1], device=block.device)
        written = self.written[self.live]
        count = torch.minimum(accepted + 1, self._new_tokens - written)  # (R,)
        if self._end is not None:
            ends = (block == self._end) & (columns < count[:, None])
            count = torch.where(ends.any(dim=1), ends.int().argmax(dim=1) + 1, count)
        rows, places = (columns < count[:, None]).nonzero(as_tuple=True)
        self.tokens[self.live[rows], written[rows] + places] = block[rows, places]
        self.written[self.live] += count
        going_on = written + count < self._new_tokens
        if self._end is not None:
            going_on &= ~ends.any(dim=1)
        self._leave(going_on.nonzero().flatten(), newest)

    def _leave(self, going_on: Tensor, newest: Tensor) -> None:
        if 0 < len(going_on) < len(self.live):
            self._target.keep(going_on)
            self._draft.keep(going_on)
        self.live, self._newest = self.live[going_on], newest[going_on]


def _roll_back(rows: Rows, dropped: Tensor) -> None:
    """Drop so many of the newest positions of each row (R,)."""
    if bool(dropped.any()):
        rows.truncate(rows.length - dropped)


class Judge(ABC):
    """Proposes and judges a draft's tokens (Leviathan et al. 2023, §2.3; Chen et al. 2023, algorithm 2).

    In every round: `start`, then `propose` for each token of the draft, then `verify`.
    """

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
