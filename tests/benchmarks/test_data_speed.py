"""Tokens a second through the tokenizer, and batches a second out of the streams of texts and of pairs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.data.batches import PackedBatches
from harness.data.build_tokenizer import build_tokenizer
from harness.data.corpus import load_corpus
from harness.data.pairs import BucketedBatches, PairBatches, PairTokens, SentenceIds
from harness.data.stream import BatchStream
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


def sentences(count: int, seed: int) -> SentenceIds:
    """Sentences of 1 to 40 tokens."""
    random = np.random.default_rng(seed)
    ends = np.cumsum(random.integers(1, 41, size=count))
    ids = random.integers(3, 8000, size=int(ends[-1]), dtype=np.uint16)
    return SentenceIds(ids, np.concatenate([[0], ends[:-1]]), ends)


@pytest.mark.parametrize("batches", ["of as many rows", "of as many tokens"])
def test_batches_of_pairs(benchmark: BenchmarkFixture, batches: str) -> None:
    """The first batch of as many tokens sorts its epoch; the median is that of the others."""
    benchmark.group = "a batch of at most 4,096 tokens on each side, with padding"
    count = 50_000 if benchmark.enabled else 2_000
    pairs = PairTokens(sentences(count, 0), sentences(count, 1))
    stream: BatchStream = (
        PairBatches(pairs, length=64, rows=64, seed=0)
        if batches == "of as many rows"
        else BucketedBatches(pairs, length=64, tokens=4096, seed=0)
    )
    source, inputs, targets = benchmark(lambda: next(stream))
    assert len(source) == len(inputs)
    assert inputs.shape == targets.shape
    assert inputs.size <= 4096
