"""Beam search (Graves 2012, §2.1; Sutskever et al. 2014, §3.2), all beams of all rows in one forward pass.

B sentences (rows of the prompt that are not done), K beams of each, t tokens so far, V vocabulary.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.config import CacheKind
from models.decoding.base import Decodable
from models.decoding.checks import check_finite, check_prompt
from models.decoding.config import BeamSearch
from models.decoding.hypotheses import Ended, Hypothesis, repeated
from models.decoding.largest import largest
from models.decoding.rows import open_rows


def beam_search(
    model: Decodable,
    prompt: Tensor,
    settings: BeamSearch,
    *,
    new_tokens: int,
    cache: CacheKind,
    end: int | None = None,
    valid: Tensor | None = None,
) -> list[list[Hypothesis]]:
    """The `n_best` hypotheses of each prompt (B, P), best first; fewer where there are no more.

    A hypothesis ends with `end` when it is among the `width` best candidates of its step, or at `new_tokens`.
    Its log-probability is the model's own: n-grams that may not repeat are left out, not renormalised away.
    Beam 1 is greedy decoding. Raises ValueError, before anything runs, for a continuation beyond max_positions, and
    where logits are not finite.
    """
    check_prompt("beam search", model, prompt, new_tokens=new_tokens, valid=valid)
    batch, length = prompt.shape
    with torch.inference_mode():
        capacity = length + new_tokens - 1
        rows = open_rows(model, batch=batch, capacity=capacity, cache=cache, device=prompt.device)
        search = _Search(settings, batch=batch, new_tokens=new_tokens, end=end)
        logits = rows.feed(prompt, valid=valid)  # (B, V)
        beams = Beams.first(logits)
        while True:
            moved = search.step(beams, logits)
            if not moved.sentences:
                return [ended.best for ended in search.ended]
            if len(moved.sentences) < len(beams.scores):
                rows.keep(torch.tensor(moved.sentences, device=prompt.device), width=beams.width)
            if beams.width < settings.width:
                left = torch.arange(len(moved.sentences), device=prompt.device)
                rows.expand(left, width=settings.width)
            else:
                # Not the prompt's length: sentences that leave may take padding before it with them.
                prompted = rows.length - beams.tokens.shape[2]
                rows.reorder(moved.parents, shared=prompted + moved.unchanged)
            beams = moved.beams
            logits = rows.feed(beams.tokens[:, :, -1].reshape(-1, 1))  # (B · K, V)


class Beams(NamedTuple):
    """Live beams, in no order. One that does not exist yet has the score -inf."""

    scores: Tensor  # (B, K) log-probabilities
    tokens: Tensor  # (B, K, t)

    @property
    def width(self) -> int:
        return self.scores.shape[1]

    @classmethod
    def first(cls, logits: Tensor) -> Beams:
        """One beam a sentence, still empty. Scores are summed in float32 at least."""
        batch = len(logits)
        precision = torch.promote_types(logits.dtype, torch.float32)
        return cls(
            logits.new_zeros((batch, 1), dtype=precision),
            torch.empty((batch, 1, 0), dtype=torch.long, device=logits.device),
        )


class Candidates(NamedTuple):
    """Continuations of a sentence's beams by one token, best first, each (B, C)."""

    scores: Tensor
    parents: Tensor
    tokens: Tensor

    def pick(self, places: Tensor) -> Candidates:
        return Candidates(*(tensor.gather(1, places) for tensor in self))


class Moved(NamedTuple):
    """After a step: the sentences that are not done, their beams, and the row (B · K,) that each beam continues.

    The first `unchanged` tokens of every row are those of the row that it continues.
    """

    sentences: list[int]
    beams: Beams
    parents: Tensor
    unchanged: int


class _Search:
    def __init__(self, settings: BeamSearch, *, batch: int, new_tokens: int, end: int | None) -> None:
        self.settings, self.new_tokens, self.end = settings, new_tokens, end
        self.ended = [Ended(settings=settings) for _ in range(batch)]
        self._open = list(self.ended)  # of the sentences that are not done

    def step(self, beams: Beams, logits: Tensor) -> Moved:
        """One token further; sentences that are done are left out."""
        width = self.settings.width
        candidates = best_candidates(beams, logits, self.settings)  # (B, C)
        ending = torch.zeros_like(candidates.tokens, dtype=torch.bool)
        if beams.tokens.shape[2] + 1 == self.new_tokens:
            ending[:] = True
        elif self.end is not None:
            ending = candidates.tokens == self.end
        self._collect(beams, candidates, ending)
        scores, places = candidates.scores.masked_fill(ending, -math.inf).topk(width, dim=1)  # (B, K)
        chosen = candidates.pick(places)._replace(scores=scores)
        undone = self._undone(beams, scores[:, 0].tolist())
        before = beams.tokens
        if len(undone) < len(self._open):
            self._open = [self._open[sentence] for sentence in undone]
            kept = torch.tensor(undone, dtype=torch.long, device=logits.device)
            chosen, before = Candidates(*(tensor[kept] for tensor in chosen)), before[kept]
        if beams.width == width:
            chosen = chosen.pick(settled(chosen.parents))
        after = continued(before, chosen.parents)
        tokens = torch.cat((after, chosen.tokens[..., None]), dim=2)
        first_rows = torch.arange(len(undone), device=logits.device)[:, None] * width
        parents = (chosen.parents + first_rows).flatten()
        return Moved(undone, Beams(chosen.scores, tokens), parents, common_prefix(before, after))

    def _collect(self, beams: Beams, candidates: Candidates, ending: Tensor) -> None:
        """Hypotheses that end, if they are among the `width` best of their sentence."""
        width = self.settings.width
        taken = ending[:, :width] & (candidates.scores[:, :width] > -math.inf)
        places = taken.nonzero()
        if not len(places):
            return
        sentences, ranks = places.unbind(dim=1)
        parents = candidates.parents[sentences, ranks]
        tokens = torch.cat(
            (beams.tokens[sentences, parents], candidates.tokens[sentences, ranks, None]), dim=1
        )
        scores = candidates.scores[sentences, ranks].tolist()
        for sentence, row, score in zip(sentences.tolist(), tokens.tolist(), scores, strict=True):
            self._open[sentence].add(tuple(row), score)

    def _undone(self, beams: Beams, best_live: list[float]) -> list[int]:
        undone = []
        for sentence, (ended, best) in enumerate(zip(self._open, best_live, strict=True)):
            if best == -math.inf and not ended.count:  # every token would repeat an n-gram: it ends here
                for tokens, score in zip(
                    beams.tokens[sentence], beams.scores[sentence].tolist(), strict=True
                ):
                    if score > -math.inf:
                        ended.add(tuple(tokens.tolist()), score)
            if not ended.is_final(best, longest=self.new_tokens):
                undone.append(sentence)
        return undone


def best_candidates(beams: Beams, logits: Tensor, settings: BeamSearch) -> Candidates:
    """The 2K best continuations, so that K are left if K end; those that do not exist have the score -inf.

    Each beam's own best come first: K + 1 of them are enough, since only one token ends. The logits are overwritten.
    """
    batch, beam = beams.scores.shape
    if logits.dtype == beams.scores.dtype:
        steps = torch.log_softmax(logits, dim=-1, out=logits)  # (B · K, V)
    else:
        steps = logits.log_softmax(dim=-1, dtype=beams.scores.dtype)
    if settings.no_repeat_ngram is not None:
        check_finite("beam search", steps.amax(dim=-1))
        steps[repeated(beams.tokens.flatten(0, 1), n=settings.no_repeat_ngram)] = -math.inf
    own, tokens = largest(steps, min(settings.width + 1, steps.shape[-1]))  # (B · K, M)
    if settings.no_repeat_ngram is None:
        check_finite("beam search", own[:, 0])
    many = own.shape[1]
    totals = own.view(batch, beam, many) + beams.scores[:, :, None]
    wanted = 2 * settings.width
    scores, places = totals.flatten(1).topk(min(wanted, beam * many), dim=1)
    found = Candidates(scores, places // many, tokens.view(batch, -1).gather(1, places))
    missing = (0, wanted - scores.shape[1])
    if missing == (0, 0):
        return found
    return Candidates(
        F.pad(found.scores, missing, value=-math.inf),
        F.pad(found.parents, missing),
        F.pad(found.tokens, missing),
    )


def continued(tokens: Tensor, parents: Tensor) -> Tensor:
    """The tokens (B, K, t) of the beams that `parents` (B, K') names, (B, K', t)."""
    return tokens.gather(1, parents[:, :, None].expand(-1, -1, tokens.shape[2]))


def common_prefix(before: Tensor, after: Tensor) -> int:
    """How many leading tokens are alike in all rows of both (B, K or 1, t) and (B, K, t)."""
    alike = (before == after).flatten(0, 1).all(dim=0)  # (t,)
    return int(alike.cumprod(dim=0).sum())


def settled(parents: Tensor) -> Tensor:
    """An order (B, K) of the chosen in which one child of each parent takes its parent's place.

    So that only rows whose own beam died out have to be copied to.
    """
    later = (parents[:, :, None] == parents[:, None, :]).tril(-1).any(dim=2)  # a sibling came first
    taken = torch.zeros_like(later).scatter_(1, parents, value=True)
    free = taken.int().argsort(dim=1, stable=True)  # free places first
    nth = (later.cumsum(dim=1) - 1).clamp(min=0)
    places = torch.where(later, free.gather(1, nth), parents)
    return places.argsort(dim=1)
