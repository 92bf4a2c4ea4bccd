"""Invariants on an arm that decodes: they hold, and bugs in single steps are found on its own model and
prompts.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from harness.invariants.base import Invariant, patched
from harness.invariants.cache_bytes import CacheBytes
from harness.invariants.registry import INVARIANTS
from harness.invariants.subjects import DecodingSubject
from harness.models import cache, transformer
from harness.models.config import CacheKind
from harness.models.init import build_model
from tests.models.configs import model_config

LEVELS = get_args(CacheKind)
OF_DECODING = [
    pytest.param(invariant, id=name)
    for name, invariant in INVARIANTS.items()
    if issubclass(DecodingSubject, invariant.needs)
]


def study(kind: CacheKind, *, dtype: torch.dtype = torch.float32, rows: int = 2) -> DecodingSubject:
    config = model_config({"preset": "nano", "dropout": 0.1, "init_std": 0.1}, vocab_size=64)
    prompts = torch.randint(64, (rows, 9), generator=torch.Generator().manual_seed(3))
    return DecodingSubject(
        model=build_model(config, 0, dtype=dtype).eval(), tokens=prompts, new_tokens=12, cache=kind
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("kind", LEVELS)
@pytest.mark.parametrize("invariant", OF_DECODING)
def test_it_holds_on_a_study(invariant: Invariant[Any], kind: CacheKind, dtype: torch.dtype) -> None:
    checks = list(invariant.check_subject(study(kind, dtype=dtype)))
    assert [check for check in checks if not check.passed] == []
    assert {check.precision for check in checks} == {str(dtype).removeprefix("torch.")}


def test_every_position_of_every_prompt_of_a_study_is_compared() -> None:
    checks = list(INVARIANTS["cache-parity"].check_subject(study("dynamic", rows=11)))
    assert sum(check.compared for check in checks) == 11 * (9 + 12 - 1)


@pytest.mark.parametrize(
    "name", ["position-off-by-one", "newest-key-lost", "dropout-left-on", "oldest-half-lost"]
)
def test_a_bug_in_single_steps_is_found_on_a_study_too(name: str) -> None:
    invariant = INVARIANTS["cache-parity"]
    with invariant.planted_bug(name).plant():
        (check,) = invariant.check_subject(study("doubling"))
    assert not check.passed
    assert "logits differ, first at position" in check.detail


@contextlib.contextmanager
def one_key_short() -> Iterator[None]:
    original = cache.StaticCache.append

    def append(self: cache.StaticCache, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = original(self, layer, k, v)
        return keys[:, :, 1:], values[:, :, 1:]

    with patched(cache.StaticCache, "append", append):
        yield


def test_a_cache_of_the_wrong_length_is_a_failed_check_not_a_crash() -> None:
    with one_key_short():
        checks = list(INVARIANTS["cache-parity"].check("static"))
    assert not any(check.passed for check in checks)
    assert any("RuntimeError" in check.detail and math.isinf(check.deviation) for check in checks)


def test_a_cache_that_raises_is_a_failed_check_of_its_bytes() -> None:
    def refuse(*_: object) -> None:
        raise ValueError("no room")

    with patched(transformer, "make_cache", refuse):
        checks = list(CacheBytes().check("dynamic"))
    assert not any(check.passed for check in checks)
    assert "ValueError: no room" in checks[0].detail
