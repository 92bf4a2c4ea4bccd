from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.batches import Ids, PackedBatches, Windows, evaluation_batches, token_array
from harness.data.build_tokenizer import ByteTokenizer, build_tokenizer
from harness.data.corpus import load_corpus
from harness.data.tokenizer import BytesConfig
from harness.errors import CorpusError
from harness.models.config import IGNORED_TARGET

TOKENS = np.arange(
    1000, 1103, dtype=np.uint16
)  # 103 tokens: 10 windows of 10 with their targets, 2 left over


def packed(**settings: Any) -> PackedBatches:
    return PackedBatches(TOKENS, **{"length": 10, "batch": 4, "seed": 7, **settings})


def starts(batches: PackedBatches, count: int) -> list[int]:
    """The first ids of the next `count` windows."""
    rows = (row for inputs, _ in batches for row in inputs)
    return [int(row[0]) for row in itertools.islice(rows, count)]


def test_shapes_types_and_targets_one_ahead() -> None:
    for inputs, targets in itertools.islice(packed(), 20):
        assert inputs.dtype == targets.dtype == np.int64
        assert inputs.shape == targets.shape == (4, 10)
        assert np.array_equal(targets, inputs + 1)  # TOKENS count up


def test_every_epoch_is_another_permutation_of_all_windows() -> None:
    seen = starts(packed(), 30)
    epochs = [seen[start : start + 10] for start in (0, 10, 20)]
    assert all(sorted(epoch) == list(range(1000, 1100, 10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_the_order_follows_the_seed_alone() -> None:
    assert starts(packed(), 40) == starts(packed(), 40)
    assert starts(packed(), 40) == starts(packed(batch=5), 40)
    assert starts(packed(), 40) != starts(packed(seed=8), 40)


@given(before=st.integers(0, 12))
def test_resuming_is_going_on(before: int) -> None:
    uninterrupted = packed()
    for _ in range(before):
        next(uninterrupted)
    state = json.loads(json.dumps(uninterrupted.state()))
    resumed = packed()
    resumed.restore(state)
    for _ in range(7):
        for one, other in zip(next(uninterrupted), next(resumed), strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize("other", [{"seed": 8}, {"length": 5}])
def test_a_position_in_another_stream_is_refused(other: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="the saved position belongs to another stream"):
        packed(**other).restore(packed().state())


def test_too_short_to_train_or_evaluate_on() -> None:
    assert starts(PackedBatches(TOKENS[:11], length=10, batch=1, seed=0), 2) == [1000, 1000]
    with pytest.raises(CorpusError, match="11 tokens give 1 windows of length 10, but a batch takes 2"):
        PackedBatches(TOKENS[:11], length=10, batch=2, seed=0)
    with pytest.raises(CorpusError, match="the text to evaluate on has 1 tokens"):
        evaluation_batches(TOKENS[:1], length=10, batch=2)


@given(count=st.integers(2, 60), length=st.integers(1, 9), batch=st.integers(1, 5))
def test_evaluation_meets_every_target_once_and_in_order(count: int, length: int, batch: int) -> None:
    batches = list(evaluation_batches(TOKENS[:count], length=length, batch=batch))
    assert all(inputs.shape == targets.shape == (batch, length) for inputs, targets in batches)
    inputs = np.concatenate([inputs.ravel() for inputs, _ in batches])
    targets = np.concatenate([targets.ravel() for _, targets in batches])
    counted = targets != IGNORED_TARGET
    assert targets[counted].tolist() == TOKENS[1:count].tolist()
    assert np.array_equal(inputs[counted] + 1, targets[counted])
    assert counted.tolist() == sorted(counted.tolist(), reverse=True)  # padding comes last
    assert (~counted[-batch * length :]).sum() < batch * length  # and no batch is padding alone


ONE_BYTE_EACH = np.zeros(2000, dtype=np.bool_)


def drawn(tokens: Ids, *, count: int, length: int, seed: int) -> Ids:
    """Windows of text in which no character has several tokens."""
    return Windows(length=length, inside_characters=ONE_BYTE_EACH).drawn(tokens, count=count, seed=seed)


def test_prompts_are_of_the_split_do_not_overlap_and_follow_the_seed() -> None:
    rows = drawn(TOKENS, count=10, length=10, seed=3)
    assert rows.dtype == np.int64
    assert sorted(rows.ravel().tolist()) == list(range(1000, 1100))
    assert np.array_equal(rows, rows[:, :1] + np.arange(10))
    assert np.array_equal(rows[:4], drawn(TOKENS, count=4, length=10, seed=3))
    assert not np.array_equal(rows, drawn(TOKENS, count=10, length=10, seed=4))


def test_a_split_too_short_for_the_prompts_says_how_long_it_is() -> None:
    with pytest.raises(CorpusError, match=r"11 prompts of 10 tokens .* a split of 103 tokens has 10"):
        drawn(TOKENS, count=11, length=10, seed=0)


def clean(text: bytes, window: bytes, cut: int) -> bool:
    """A plain reference: whether both parts of the window are text."""
    try:
        window[:cut].decode()
        window[cut:].decode()
    except UnicodeDecodeError:
        return False
    return window in text


SENTENCES = {
    "Latin": "the cat sat on the mat. ",
    "Cyrillic": "Съешь ещё этих мягких французских булок, да выпей чаю. ",
    "Japanese": "いろはにほへと ちりぬるを a わかよたれそ 1 つねならむ。",
    "emoji": "a 🙂 b 👩‍👩‍👧 c é ",
}


@pytest.mark.parametrize("text", SENTENCES.values(), ids=SENTENCES.keys())
@pytest.mark.parametrize(("length", "cut"), [(24, 16), (7, 3), (13, 13)])
@pytest.mark.parametrize("share", [0.1, 0.6, 1.0])
def test_windows_are_cut_between_characters_where_that_is_possible(
    text: str, length: int, cut: int, share: float
) -> None:
    """If there are enough windows side by side, these are used; else as many as fit anywhere."""
    content = (text * 40).encode()
    tokenizer = ByteTokenizer()
    tokens = tokenizer.encode_array(text * 40)
    windows = Windows(length=length, cuts=(cut,), inside_characters=tokenizer.inside_characters)
    count = max(1, int(len(tokens) // length * share))
    rows = [tokenizer.decode_bytes(row) for row in windows.drawn(tokens, count=count, seed=1).tolist()]
    beside = [content[at : at + length] for at in range(0, len(content) - length + 1, length)]
    anywhere, at = 0, 0
    while at + length <= len(content):
        if clean(content, content[at : at + length], cut):
            anywhere, at = anywhere + 1, at + length
        else:
            at += 1
    possible = max(sum(clean(content, window, cut) for window in beside), anywhere)
    assert len(rows) == count
    if possible >= count:
        assert all(clean(content, row, cut) for row in rows)
    else:
        assert sum(clean(content, row, cut) for row in rows) == sum(
            clean(content, window, cut) for window in beside
        )


def test_windows_that_are_not_side_by_side_do_not_overlap() -> None:
    tokenizer = ByteTokenizer()
    text = "".join(chr(0x410 + index) + chr(0x61 + index % 26) * (index % 3) for index in range(900))
    tokens = tokenizer.encode_array(text)
    windows = Windows(length=7, cuts=(3,), inside_characters=tokenizer.inside_characters)
    rows = windows.drawn(tokens, count=200, seed=0)
    starts = sorted(text.encode().index(tokenizer.decode_bytes(row)) for row in rows.tolist())
    assert min(np.diff(starts)) >= 7
    assert any(start % 7 for start in starts)


def test_tokens_are_made_once_mapped_and_made_again_when_damaged(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = load_corpus("python-docs")
    tokenizer = build_tokenizer(BytesConfig(), corpus)
    expected = tokenizer.encode(corpus.text("test"))
    tokens = token_array(corpus, "test", tokenizer)
    assert isinstance(tokens, np.memmap)
    assert tokens.dtype == np.uint16
    assert not tokens.flags.writeable
    assert tokens.tolist() == expected
    with monkeypatch.context() as patch:
        patch.setattr(type(tokenizer), "encode_array", None)
        assert token_array(corpus, "test", tokenizer).tolist() == expected
    (path,) = (path for path in (cache / "tokens").iterdir() if path.name != ".lock")
    content = path.read_bytes()
    for damaged in (content[:500], content[:500] + b"\xff" + content[501:], b""):
        path.write_bytes(damaged)
        assert token_array(corpus, "test", tokenizer).tolist() == expected
    assert token_array(corpus, "valid", tokenizer).tolist() == tokenizer.encode(corpus.text("valid"))
