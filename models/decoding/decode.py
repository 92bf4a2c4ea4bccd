"""Every way of decoding behind one function."""

from __future__ import annotations

from typing import assert_never

from torch import Tensor

from harness.models.config import CacheKind
from harness.models.decoding.base import Decodable
from harness.models.decoding.beam_search import beam_search
from harness.models.decoding.config import BeamSearch, Decoding, Greedy, Sampling, Speculative
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
        return _until(result.tokens.tolist(), end)
    if isinstance(model, TargetAndDraft):
        raise TypeError(f"{decoding.kind} decoding needs one model, but a TargetAndDraft was passed")
    match decoding:
        case Greedy():
            tokens = greedy(model, prompt, new_tokens=new_tokens, cache=cache, end=end, valid=valid)
            return _until(tokens.tolist(), end)
        case Sampling():
            tokens = sample(model, prompt, decoding, new_tokens=new_tokens, cache=cache, end=end, valid=valid)
            return _until(tokens.tolist(), end)
        case BeamSearch():
            rows = beam_search(
                model, prompt, decoding, new_tokens=new_tokens, cache=cache, end=end, valid=valid
            )
            return _until([list(hypotheses[0].tokens) for hypotheses in rows], end)
        case _:
            assert_never(decoding)


def _until(rows: list[list[int]], end: int | None) -> list[list[int]]:
    return [row[: row.index(end)] if end in row else row for row in rows]
