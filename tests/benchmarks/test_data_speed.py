"""Tokens a second through the tokenizer, and batches a second out of the packed stream."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.data.batches import PackedBatches
from harness.data.build_tokenizer import build_tokenizer
from harness.data.corpus import load_corpus
from harness.data.tokenizer import BpeConfig


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", os.environ.get("HARNESS_CACHE", str(tmp_path)))


def test_encode_ten_megabytes(benchmark: BenchmarkFixture) -> None:
    corpus = load_corpus("python-docs")
    tokenizer = build_tokenizer(BpeConfig(vocab_size=2048), corpus)
    text = corpus.text("train")
    text *= (10_000_000 if benchmark.enabled else 1_000_000) // len(text)
    ids = benchmark(tokenizer.encode_array, text)
    assert tokenizer.decode(ids.tolist()) == text
    if benchmark.stats:
        benchmark.extra_info["tokens_per_second"] = len(ids) / benchmark.stats.stats.median


def test_packed_batches(benchmark: BenchmarkFixture) -> None:
    tokens = np.random.default_rng(0).integers(0, 2048, size=3_000_000, dtype=np.uint16)
    batches = PackedBatches(tokens, length=128, batch=16, seed=0)
    inputs, targets = benchmark(lambda: next(batches))
    assert np.array_equal(inputs[:, 1:], targets[:, :-1])
    if benchmark.stats:
        benchmark.extra_info["tokens_per_second"] = inputs.size / benchmark.stats.stats.median
