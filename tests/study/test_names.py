"""Short names of factors, levels, arms and conditions, and the labels that replace them."""

from __future__ import annotations

import pytest

from harness.study.names import Names, short_paths
from tests.report.synthetic import study

LR = {"optimizer.lr": [0.001, 0.003]}


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["optimizer.lr", "schedule.warmup"], ["lr", "warmup"]),
        (["optimizer.lr", "model.train.optimizer.lr"], ["optimizer.lr", "train optimizer lr"]),
        (["encoder.lr", "decoder.lr", "batch"], ["encoder lr", "decoder lr", "batch"]),
        (["model.norm.kind", "new_tokens"], ["norm", "new tokens"]),
        (["kind"], ["kind"]),
    ],
)
def test_a_path_is_named_by_the_shortest_end_that_no_other_path_has(
    paths: list[str], names: list[str]
) -> None:
    assert list(short_paths(paths).values()) == names
    assert len(set(names)) == len(names)


def test_an_arm_is_named_by_what_differs_from_the_baseline() -> None:
    declared = study(compare=LR | {"schedule.warmup": [10, 2]}, design={"arms": "factorial"}, claims={})
    assert list(Names(declared).arms.items()) == [
        ("optimizer.lr=0.001, schedule.warmup=10", "baseline"),
        ("optimizer.lr=0.001, schedule.warmup=2", "warmup 2"),
        ("optimizer.lr=0.003, schedule.warmup=10", "lr 0.003"),
        ("optimizer.lr=0.003, schedule.warmup=2", "lr 0.003, warmup 2"),
    ]


def test_labels_and_units_replace_derived_names() -> None:
    labels = {
        "optimizer.lr": {"label": "learning rate", "levels": {"0.003": "high"}},
        "new_tokens": {"unit": "tokens"},
    }
    names = Names(study(compare=LR, claims={}, labels=labels))
    assert list(names.arms.values()) == ["learning rate 0.001", "learning rate high"]
    assert names.condition({"new_tokens": "16"}) == "new tokens = 16 tokens"
    assert names.at({"new_tokens": "16"}) == " at new tokens 16 tokens"
    assert names.titled("new_tokens") == "new tokens (tokens)"
    assert names.bare_level("new_tokens", "16") == "16"
    assert names.level("new_tokens", "all") == "all"


def test_a_trial_is_named_by_its_arm_and_its_condition() -> None:
    labels = {"cache": {"levels": {"static": "fixed"}}, "new_tokens": {"label": "length", "unit": "tokens"}}
    names = Names(study(claims={}, labels=labels))
    levels = {"new_tokens": "16"}
    assert names.trial(("generate",), "cache=static", levels) == "generate cache fixed at length 16 tokens"
    assert names.trial(("train", ""), "", {}) == "train"
    assert names.trial((), "cache=none", {}) == "cache none"


def test_parameters_of_a_search_have_names_too() -> None:
    names = Names(study(claims={}, labels={"batch": {"unit": "rows"}}), more=("optimizer.lr", "batch"))
    titles = [names.titled(path) for path in ("optimizer.lr", "batch", "cache")]
    assert titles == ["lr", "batch (rows)", "cache"]


def test_a_plain_single_factor_keeps_the_full_names_of_its_arms() -> None:
    assert Names(study()).arms == {}


def test_a_derived_name_gives_way_to_a_label() -> None:
    labels = {"schedule.warmup": {"label": "lr"}}
    names = Names(study(compare=LR | {"schedule.warmup": [10, 2]}, labels=labels, claims={}))
    assert names.factor("schedule.warmup") == "lr"
    assert names.factor("optimizer.lr") == "optimizer lr"


def test_names_that_would_be_equal_are_not_used() -> None:
    compare = {"a": ["x", "y", "y, b z"], "b": ["w", "z"]}
    arms = Names(study(compare=compare, design={"arms": "factorial"}, claims={})).arms
    assert arms == {}
