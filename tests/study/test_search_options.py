"""The options of `harness search`, as words and as keys of a study."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import StudyError
from harness.study.search_options import SearchOptions

OPTIONS = SearchOptions(
    space=("optimizer.lr=1e-4:1e-1:log", "batch=8:64:8", "width=0.5:2", "optimizer.kind=adamw,lion"),
    objective=("validation_loss", "update_seconds"),
    sampler="gp",
    enqueue=("optimizer.lr=3e-3,batch=16",),
)


def test_the_options_replace_keys_of_the_search() -> None:
    replaced: dict[tuple[Any, ...], Any] = {one.path: one.value for one in OPTIONS.overrides()}
    assert replaced == {
        ("search", "space", "optimizer.lr"): {"low": 1e-4, "high": 0.1, "log": True},
        ("search", "space", "batch"): {"low": 8, "high": 64, "step": 8},
        ("search", "space", "width"): {"low": 0.5, "high": 2},
        ("search", "space", "optimizer.kind"): {"choices": ["adamw", "lion"]},
        ("search", "objective"): ["validation_loss", "update_seconds"],
        ("search", "sampler"): {"kind": "gp"},
        ("search", "enqueue"): [{"optimizer.lr": 3e-3, "batch": 16}],
    }


def test_the_words_say_the_same_among_other_words() -> None:
    words = ("harness", "search", "studies/lr.yaml", "--scale", "cpu", "--trials", "8", *OPTIONS.words)
    read = SearchOptions.read((*words, "--set", "design.seeds=4"))
    assert read == OPTIONS
    assert read.words == OPTIONS.words
    nothing = SearchOptions.read(words[:7])
    assert (nothing.words, nothing.overrides()) == ((), ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer.lr", "this is not PATH=VALUES"),
        ("=1:2", "this is not PATH=VALUES"),
        ("optimizer.lr=1:2:3:4", "a range is LOW:HIGH, LOW:HIGH:log or LOW:HIGH:STEP"),
    ],
)
def test_a_wrong_option_is_named(text: str, message: str) -> None:
    wrong = SearchOptions(space=(text,), objective=(), sampler=None, enqueue=())
    with pytest.raises(StudyError, match=message) as raised:
        wrong.overrides()
    assert raised.value.at is not None
    assert raised.value.at.file == f"--space {text}"
