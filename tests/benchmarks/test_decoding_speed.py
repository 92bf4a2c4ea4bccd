"""Greedy decoding with and without a cache: one group, so the table shows each kind as a ratio to the fastest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from models.config import CacheKind, model_config
from models.decoding.greedy import greedy
from models.init import build_model

PROMPT, NEW_TOKENS = 32, 64


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """A second thread beside a busy process makes small products many times slower, and unevenly so."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("kind", get_args(CacheKind))
@pytest.mark.parametrize("preset", ["nano", "tiny"])
def test_decode_64_tokens_after_32(benchmark: BenchmarkFixture, preset: str, kind: CacheKind) -> None:
    benchmark.group = f"{preset}: {PROMPT} + {NEW_TOKENS} tokens, batch 1"
    model = build_model(model_config({"preset": preset}, vocab_size=2048), 0).eval()
    prompt = torch.randint(2048, (1, PROMPT), generator=torch.Generator().manual_seed(0))
    tokens = benchmark(greedy, model, prompt, new_tokens=NEW_TOKENS, cache=kind)
    assert torch.equal(tokens, greedy(model, prompt, new_tokens=NEW_TOKENS, cache="none"))
