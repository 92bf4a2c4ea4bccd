"""Tasks in this process: the session's corpus cache, one thread, one measurement of the fastest product."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from harness.machine import matmul

fastest = functools.cache(matmul._fastest)


@pytest.fixture(autouse=True)
def _one_thread_and_the_cache(corpus_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HARNESS_CACHE", str(corpus_cache))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _the_fastest_product_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second that every task would take before it trains."""
    monkeypatch.setattr(matmul, "_fastest", fastest)
