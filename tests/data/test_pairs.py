"""Translation pairs in batches: every pair once an epoch, padding that nobody counts, the same order however
it is made.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.batches import PackedBatches
from harness.data.build_tokenizer import ByteTokenizer
from harness.data.content import Corpus, Pair
from harness.data.pairs import (
    BucketedBatches,
    PairBatches,
    PairTokens,
    pair_evaluation_batches,
    pair_tokens,
)
from harness.data.stream import Batch, BatchStream, Prefetched
from harness.data.tokenizer import BOS_ID, EOS_ID, PAD_ID
from harness.errors import CorpusError
from harness.models.config import IGNORED_TARGET

TOKENIZER = ByteTokenizer()


def sentence(index: int) -> Pair:
    """Sources of 1 to 13 bytes, targets a little longer; no two alike."""
    return Pair(f"{index}" + "a" * (index % 11), f"é{index}" + "b" * (index % 7))


PAIRS = [sentence(index) for index in range(60)]


def corpus(pairs: list[Pair]) -> Corpus:
    digest = str(hash(tuple((pair.source, pair.target) for pair in pairs)))
    return Corpus(name="own", kind="pairs", digest=digest, splits=("train",), read=lambda _split: pairs)


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PairTokens:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    return pair_tokens(corpus(PAIRS), "train", TOKENIZER)


def texts(ids: NDArray[np.int64]) -> list[str]:
    return [TOKENIZER.decode(index for index in row if index >= 0) for row in ids.tolist()]


def streams(pairs: PairTokens, seed: int = 0) -> list[BatchStream]:
    return [
        PairBatches(pairs, length=24, rows=7, seed=seed),
        BucketedBatches(pairs, length=24, tokens=96, seed=seed),
    ]


def epoch(stream: BatchStream) -> list[Batch]:
    taken = []
    while stream.position[0] == 0:
        taken.append(next(stream))
    return taken


def test_what_was_tokenised_line_by_line_is_each_sentence_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    odd = [Pair("", "x"), Pair("two\nlines", "  spaces "), Pair("▁ é \r 😀", ""), Pair("end", "end")]
    tokens = pair_tokens(corpus(odd), "train", TOKENIZER)
    assert isinstance(tokens.source.ids, np.memmap)
    for side in ("source", "target"):
        sentences = getattr(tokens, side)
        expected = [TOKENIZER.encode(getattr(pair, side).replace("\n", " ")) for pair in odd]
        bounds = zip(sentences.starts, sentences.ends, strict=True)
        assert [sentences.ids[start:end].tolist() for start, end in bounds] == expected


def test_sources_end_and_targets_are_one_ahead(pairs: PairTokens) -> None:
    for stream in streams(pairs):
        for source, inputs, targets in epoch(stream):
            assert source.dtype == inputs.dtype == targets.dtype == np.int64
            assert inputs.shape == targets.shape
            assert (inputs[:, 0] == BOS_ID).all()
            assert ((source == EOS_ID).sum(axis=1) == 1).all()
            assert ((targets == EOS_ID).sum(axis=1) == 1).all()
            counted = targets != IGNORED_TARGET
            ends = np.argmax(targets == EOS_ID, axis=1)
            assert (counted.sum(axis=1) == ends + 1).all()
            for row, end in enumerate(ends):
                assert (inputs[row, 1 : end + 1] == targets[row, :end]).all()
                assert (inputs[row, end + 1 :] == PAD_ID).all()


def test_every_pair_comes_once_an_epoch_and_with_its_own_translation(pairs: PairTokens) -> None:
    known = {(pair.source, pair.target) for pair in PAIRS}
    for stream in streams(pairs):
        seen = [
            pair
            for source, _, targets in epoch(stream)
            for pair in zip(texts(source), texts(targets), strict=True)
        ]
        assert len(seen) == len(set(seen))
        assert set(seen) <= known
        left_out = len(known) % 7 if isinstance(stream, PairBatches) else 0
        assert len(seen) == len(known) - left_out


def test_a_budget_holds_both_sides_with_padding_and_is_used(pairs: PairTokens) -> None:
    batches = epoch(BucketedBatches(pairs, length=24, tokens=96, seed=0))
    assert all(max(source.size, targets.size) <= 96 for source, _, targets in batches)
    for source, _, targets in batches:  # the last column holds a token
        assert (source[:, -1] != PAD_ID).any()
        assert (targets[:, -1] != IGNORED_TARGET).any()
    assert sum(max(source.size, targets.size) for source, _, targets in batches) > 0.7 * 96 * len(batches)


def test_little_is_padding_where_lengths_vary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    random = np.random.default_rng(0)
    sources = random.integers(2, 20, size=5000)
    targets = np.maximum(1, sources + random.integers(-4, 5, size=5000))
    varied = [Pair("a" * source, "b" * target) for source, target in zip(sources, targets, strict=True)]
    stream = BucketedBatches(pair_tokens(corpus(varied), "train", TOKENIZER), length=24, tokens=256, seed=0)
    batches = epoch(stream)
    for side, padding in ((0, PAD_ID), (2, IGNORED_TARGET)):
        real = sum(int((batch[side] != padding).sum()) for batch in batches)
        assert real > 0.85 * sum(batch[side].size for batch in batches)


def test_pairs_that_are_too_long_are_left_out(pairs: PairTokens) -> None:
    short = pairs.at_most(8)
    assert 0 < len(short) < len(pairs)
    assert len(short) == sum(max(len(p.source.encode()), len(p.target.encode())) + 1 <= 8 for p in PAIRS)
    for source, _, targets in epoch(PairBatches(pairs, length=8, rows=4, seed=0)):
        assert source.shape == targets.shape == (4, 8)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_order_is_the_same_whoever_makes_the_batches(pairs: PairTokens, workers: int) -> None:
    tokens = np.arange(1000, 1103, dtype=np.uint16)
    for index in range(3):
        plain, ahead = (
            [*streams(pairs, seed=4), PackedBatches(tokens, length=10, batch=4, seed=4)][index]
            for _ in range(2)
        )
        prefetched = Prefetched(ahead, workers=workers, ahead=3)
        for expected, batch in itertools.islice(zip(plain, prefetched, strict=True), 40):
            assert all(np.array_equal(one, other) for one, other in zip(expected, batch, strict=True))
            assert prefetched.state() == plain.state()
        prefetched.close()


def test_resuming_is_going_on_whatever_had_been_made_ahead(pairs: PairTokens) -> None:
    for before, index in itertools.product((0, 3, 11), range(2)):
        uninterrupted = streams(pairs)[index]
        interrupted = Prefetched(streams(pairs)[index], workers=2, ahead=4)
        for _ in range(before):
            next(uninterrupted)
            next(interrupted)
        state = json.loads(json.dumps(interrupted.state()))
        interrupted.close()
        resumed = Prefetched(streams(pairs)[index], workers=2, ahead=4)
        next(resumed)
        resumed.restore(state)
        for expected, batch in itertools.islice(zip(uninterrupted, resumed, strict=True), 20):
            assert all(np.array_equal(one, other) for one, other in zip(expected, batch, strict=True))
        resumed.close()


def test_seeds_and_epochs_differ_and_a_position_elsewhere_is_refused(pairs: PairTokens) -> None:
    for index in range(2):
        first, other = streams(pairs)[index], streams(pairs, seed=1)[index]
        assert not np.array_equal(first.make((0, 0))[0], other.make((0, 0))[0])
        assert not np.array_equal(first.make((0, 0))[0], first.make((1, 0))[0])
        with pytest.raises(ValueError, match="the saved position belongs to another stream"):
            other.restore(first.state())


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda pairs: PairBatches(pairs, length=24, rows=61, seed=0), "but a batch takes 61"),
        (lambda pairs: PairBatches(pairs, length=2, rows=1, seed=0), "0 pairs of at most 2 tokens"),
        (
            lambda pairs: BucketedBatches(pairs, length=24, tokens=9999, seed=0),
            "fewer tokens than one batch of 9999",
        ),
        (lambda pairs: BucketedBatches(pairs, length=24, tokens=23, seed=0), "has no room for a pair"),
        (
            lambda pairs: pair_evaluation_batches(pairs, length=2, target_tokens=9, rows=4),
            "no pair of at most 2 tokens",
        ),
    ],
)
def test_too_few_pairs_are_refused(pairs: PairTokens, made: Any, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        made(pairs)


def test_evaluation_meets_the_first_pairs_once(pairs: PairTokens) -> None:
    batches = list(pair_evaluation_batches(pairs, length=24, target_tokens=100, rows=4))
    counted = sum(int((targets != IGNORED_TARGET).sum()) for _, _, targets in batches)
    seen = sorted(text for source, _, _ in batches for text in texts(source))
    assert seen == sorted(pair.source for pair in PAIRS[: len(seen)])
    longest = max(len(pair.target.encode()) + 1 for pair in PAIRS)
    assert 100 <= counted < 100 + longest
    everything = list(pair_evaluation_batches(pairs, length=24, target_tokens=10**6, rows=4))
    assert sum(len(source) for source, _, _ in everything) == len(PAIRS)
