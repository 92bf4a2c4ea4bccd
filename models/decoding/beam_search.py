"""Beam search (Graves 2012, §2.1; Sutskever et al. 2014, §3.2), all beams of all rows in one forward pass.

The scores of all continuations stay on the device; `harness.models.decoding.beam_bookkeeping` decides which
of the best continue. B sentences (rows of the prompt that are not done), K beams per sentence, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.models.config import CacheKind
from harness.models.decoding.base import Decodable, check_finite, check_prompt
from harness.models.decoding.beam_bookkeeping import Hypothesis, Search
from harness.models.decoding.config import BeamSearch
from harness.models.decoding.decoding_state import open_rows
from harness.models.decoding.topk import largest


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
    """The `n_best` hypotheses of each prompt (B, P), best first, or fewer if there are no more.

    A hypothesis ends with `end` when it is among the `width` best candidates of its step, or at `new_tokens`.
    Its log-probability is the model's own: forbidden n-grams are left out without renormalisation. A beam of
    width 1 is greedy decoding. Raises ValueError if the continuation would exceed max_positions (before
    anything runs), and if logits are not finite.
    """
    check_prompt("beam search", model, prompt, new_tokens=new_tokens, valid=valid)
    batch, length = prompt.shape
    device = prompt.device
    with torch.inference_mode():
        capacity = length + new_tokens - 1
        rows = open_rows(model, batch=batch, capacity=capacity, cache=cache, device=device)
        search = Search(settings, batch=batch, new_tokens=new_tokens, end=end)
        logits = rows.feed(prompt, valid=valid)  # (B, V)
        while True:
            before, width = len(search.sentences), search.width
            scores, places = (tensor.tolist() for tensor in best_candidates(search, logits))
            if settings.no_repeat_ngram is None:
                check_finite("beam search", (best[0] for best in scores))
            moved = search.step(scores, places, vocabulary=logits.shape[1])
            if not search.sentences:
                return [ended.best for ended in search.ended]
            if len(search.sentences) < before:
                rows.keep(torch.tensor(moved.sentences, device=device), width=width)
            if width < settings.width:
                rows.expand(torch.arange(len(search.sentences), device=device), width=settings.width)
            else:
                # Not the prompt's length, because padding may have been dropped together with finished
                # sentences.
                prompted = rows.length - (search.length - 1)
                rows.reorder(moved.parents, shared=[prompted + tokens for tokens in moved.unchanged])
            newest = torch.tensor([tokens[-1] for tokens in search.tokens], device=device)
            logits = rows.feed(newest[:, None])  # (B · K, V)


def best_candidates(search: Search, logits: Tensor) -> tuple[Tensor, Tensor]:
    """The 2K best continuations of each sentence by one token, so that K are left even if K end.

    From the logits (B · K, V), which are overwritten, to log-probabilities, largest first, and indices into
    the K · V continuations of a sentence, each (B, at most 2K). Continuations that do not exist have -inf.
    Summed in float32 at least.
    """
    settings = search.settings
    precision = torch.promote_types(logits.dtype, torch.float32)
    if logits.dtype == precision:
        totals = torch.log_softmax(logits, dim=-1, out=logits)  # (B · K, V)
    else:
        totals = logits.log_softmax(dim=-1, dtype=precision)
    so_far = torch.tensor(search.scores, dtype=precision, device=logits.device)
    totals += so_far[:, None]
    if settings.no_repeat_ngram is not None:
        check_finite("beam search", totals[so_far > -torch.inf].amax(dim=-1))
        tokens = torch.tensor(search.tokens, dtype=torch.long)
        totals[repeated(tokens, n=settings.no_repeat_ngram)] = -torch.inf
    by_sentence = totals.reshape(len(search.sentences), -1)  # (B, K · V)
    scores, places = largest(by_sentence, min(2 * settings.width, by_sentence.shape[1]))
    return scores, places


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
