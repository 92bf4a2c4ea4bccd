"""Every way of decoding behind one function."""

from __future__ import annotations

from torch import Tensor

from harness.models.config import CacheKind
from harness.models.decoding.base import Decodable
from harness.models.decoding.beam_search import beam_search
from harness.models.decoding.config import BeamSearch, Decoding, Sampling, Speculative
from harness.models.decoding.greedy import greedy
from harness.models.decoding.sampling import sample
from harness.models.decoding.speculative import TargetAndDraft, speculative


def decode(
    model: Decodable | TargetAndDraft,
    prompt: Tensor,
    decoding: Decoding,
    *,
    new_tokens: int,
    cache: CacheKind,
    end: int | None = None,
    valid: Tensor | None = None,
) -> list[list[int]]:
    """The best continuation of each prompt (B, P), without its end token.

    Speculative decoding takes a TargetAndDraft, all others take one model. Raises ValueError if the prompt
    cannot be decoded, and TypeError if a TargetAndDraft is passed where one model is needed, or the reverse.
    """
    if isinstance(decoding, Speculative):
        if not isinstance(model, TargetAndDraft):
            raise TypeError(
                "speculative decoding needs TargetAndDraft(target=…, draft=…), but one model was passed"
            )
        result = speculative(
            model, prompt, decoding, new_tokens=new_tokens, cache=cache, end=end, valid=valid
        )
        rows = result.tokens.tolist()
    elif isinstance(model, TargetAndDraft):
        raise TypeError(f"{decoding.kind} decoding needs one model, but a TargetAndDraft was passed")
    elif isinstance(decoding, BeamSearch):
        hypotheses = beam_search(
            model, prompt, decoding, new_tokens=new_tokens, cache=cache, end=end, valid=valid
        )
        rows = [list(best.tokens) for best, *_ in hypotheses]
    elif isinstance(decoding, Sampling):
        rows = sample(
            model, prompt, decoding, new_tokens=new_tokens, cache=cache, end=end, valid=valid
        ).tolist()
    else:
        rows = greedy(model, prompt, new_tokens=new_tokens, cache=cache, end=end, valid=valid).tolist()
    return [row[: row.index(end)] if end in row else row for row in rows]
