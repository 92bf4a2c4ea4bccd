"""An invariant: a model gives the same logits for a text, whether it has the tokens at once or one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from harness.invariants.base import CACHED, Check, Invariant, PlantedBug, cache_kind, instead_of
from harness.invariants.subjects import DecodingSubject

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from plain_gpt.model import KeysAndValues


@instead_of("plain_gpt.model", "KeysAndValues.append")
def _stale(
    original: Callable[..., Tensor], cache: KeysAndValues, layer: int, keys: Tensor, values: Tensor
) -> Tensor:
    """A bug: the newest key of a text stays what it was."""
    past = cache.states[layer]
    if past is not None:
        keys = past[0][:, -1:].expand_as(keys)
    return original(cache, layer, keys, values)


class OneTokenAtATime(Invariant[DecodingSubject]):
    name: ClassVar[str] = "one-token-at-a-time"
    statement: ClassVar[str] = "Tokens one by one, with a cache, have the logits of all tokens at once."
    planted_bugs: ClassVar[tuple[PlantedBug, ...]] = (
        PlantedBug(name="stale-key", summary="the cache keeps the key of the token before", bug=_stale),
    )

    def check_generic(self, level: str) -> Iterator[Check]:
        import torch

        from plain_gpt.config import PlainGPTConfig

        torch.manual_seed(0)
        model = PlainGPTConfig(vocab_size=11, max_positions=16).build().double().eval()
        yield self._check(
            DecodingSubject(model=model, tokens=torch.arange(8)[None], new_tokens=1, cache="dynamic")
        )

    def check_subject(self, subject: DecodingSubject) -> Iterator[Check]:
        yield self._check(subject)

    def _check(self, subject: DecodingSubject) -> Check:
        import torch

        from harness.invariants.support.compare import compare

        tokens = subject.tokens[:1]
        kind = subject.cache if subject.cache in CACHED else cache_kind("dynamic")

        def one_by_one() -> Tensor:
            cache = subject.model.new_cache(kind, batch=1, capacity=tokens.shape[1])
            columns = [tokens[:, [index]] for index in range(tokens.shape[1])]
            return torch.cat([subject.model(column, cache=cache) for column in columns], dim=1)

        with torch.inference_mode():
            return compare("the first row", reference=subject.model(tokens), observed=one_by_one)
