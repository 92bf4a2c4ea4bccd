"""A model of transformers is decoded in every way, with the caches of transformers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from harness.invariants.registry import INVARIANTS
from harness.invariants.subjects import DecodingSubject
from harness.models.decoding.config import BeamSearch, Decoding, Greedy, Sampling, Speculative
from harness.models.decoding.decode import decode
from harness.models.decoding.speculative import TargetAndDraft, speculative
from harness.models.hugging_face.cache import HuggingFaceCache
from tests.models.hugging_face.tiny import ARCHITECTURES, model

PROMPTS = torch.arange(12).view(3, 4)


def mask(padding: int) -> Tensor | None:
    """The first row has so much padding on the left."""
    valid = torch.ones_like(PROMPTS, dtype=torch.bool)
    valid[0, :padding] = False
    return valid if padding else None


def subject(name: str, cache: Any) -> DecodingSubject:
    return DecodingSubject(model=model(name, dtype=torch.float32), tokens=PROMPTS, new_tokens=8, cache=cache)


@pytest.mark.parametrize("cache", ["dynamic", "static"])
@pytest.mark.parametrize("decoding", [Greedy(), BeamSearch(width=3), Sampling()])
@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_text_is_the_same_with_and_without_a_cache(
    name: str, padding: int, decoding: Decoding, cache: Any
) -> None:
    settings: dict[str, Any] = {"new_tokens": 8, "end": 1, "valid": mask(padding)}
    without, cached = (
        decode(model(name), PROMPTS, decoding, cache=kind, **settings) for kind in ("none", cache)
    )
    assert without == cached
    assert len({*map(tuple, cached)}) > 1


@pytest.mark.parametrize("cache", ["dynamic", "static"])
@pytest.mark.parametrize("padding", [0, 2])
def test_speculative_decoding_rolls_the_cache_back(padding: int, cache: Any) -> None:
    pair = TargetAndDraft(target=model("llama"), draft=model("gpt2"))
    settings: dict[str, Any] = {"new_tokens": 12, "valid": mask(padding)}
    written = speculative(pair, PROMPTS, Speculative(draft_tokens=3), cache=cache, **settings)
    expected = decode(pair.target, PROMPTS, Greedy(), cache="none", end=None, **settings)
    assert written.tokens.tolist() == expected
    assert 0 < written.accepted < written.drafted


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_the_logits_of_a_padded_row_are_those_of_the_row_alone(attention: str) -> None:
    decoder = model("llama", dtype=torch.float32, attention=attention)
    alone, padded = decoder(PROMPTS[:1, 2:]), decoder(PROMPTS, valid=mask(2))
    torch.testing.assert_close(padded[:1, 2:], alone, rtol=1e-4, atol=1e-5)


def test_a_token_beyond_the_vocabulary_has_no_logit() -> None:
    wide = {**ARCHITECTURES["llama"], "vocab_size": 20}
    assert model("llama", architecture=wide)(PROMPTS).shape == (3, 4, 13)


def test_a_cache_that_transformers_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="transformers has no cache of kind doubling; use dynamic or static"):
        model("gpt2").new_cache("doubling", batch=1, capacity=4)


@pytest.mark.parametrize("invariant", ["cache-parity", "cache-bytes", "causality"])
@pytest.mark.parametrize("cache", ["dynamic", "static"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_invariants_hold(name: str, cache: str, invariant: str) -> None:
    checks = list(INVARIANTS[invariant].check_subject(subject(name, cache)))
    assert checks
    assert [check for check in checks if not check.passed] == []


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_shifted_position_is_detected(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    append = HuggingFaceCache.append_valid

    def shifted(cache: HuggingFaceCache, valid: Tensor | None, tokens: Tensor) -> Tensor | None:
        appended = append(cache, valid, tokens)
        cache.length += 1
        return appended

    monkeypatch.setattr(HuggingFaceCache, "append_valid", shifted)
    (check,) = INVARIANTS["cache-parity"].check_subject(subject(name, "dynamic"))
    assert not check.passed


def test_a_cache_that_keeps_more_than_its_closed_form_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    wasteful = property(
        lambda cache: 2 * sum(layer.keys.nbytes + layer.values.nbytes for layer in cache._layers())
    )
    monkeypatch.setattr(HuggingFaceCache, "nbytes", wasteful)
    (check,) = INVARIANTS["cache-bytes"].check_subject(subject("llama", "dynamic"))
    assert not check.passed
