"""Speculative decoding: a small model drafts, a large one verifies several tokens in one pass.

The result is the large one's alone (Leviathan et al. 2023; Chen et al. 2023).
R rows that have not ended, N proposed tokens of each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.models.config import CacheKind
from harness.models.decoding.base import Decodable, Scorer, check_prompt
from harness.models.decoding.config import Speculative
from harness.models.decoding.decoding_state import Rows, open_rows
from harness.models.decoding.verification import Judge, build_judge


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
