"""Which arms and conditions a study has: designs, factors that exist only with others, arms that are left
out.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.study.arms import arms, conditions, find_arm
from harness.study.loaded import Study

RULES: dict[str, Any] = {"k": [1, 2, 8], "rule": ["none", "sqrt", "linear"]}


def declared(compare: dict[str, Any], **more: Any) -> Study:
    document = {"study": "s", "question": "?", "task": "train", "base": {}, "primary": "loss"}
    return Study.read({**document, "compare": compare, **more})


def names(compare: dict[str, Any], **more: Any) -> list[str]:
    return [arm.name for arm in arms(declared(compare, **more))]


def test_one_factor_changes_one_factor_at_a_time() -> None:
    arm_names = names({"b": [1, 2], "a": ["x", "y", "z"]}, design={"arms": "one-factor"})
    assert arm_names == ["a=x, b=1", "a=y, b=1", "a=z, b=1", "a=x, b=2"]


def test_factorial_has_every_combination() -> None:
    arm_names = names({"b": [1, 2], "a": ["x", "y"]}, design={"arms": "factorial"})
    assert arm_names == ["a=x, b=1", "a=x, b=2", "a=y, b=1", "a=y, b=2"]


def test_leave_one_out_starts_from_everything_on() -> None:
    arm_names = names({"a": [0, 1], "b": ["off", "on"], "c": [False, True]}, design={"arms": "leave-one-out"})
    assert arm_names == ["a=1, b=on, c=true", "a=0, b=on, c=true", "a=1, b=off, c=true", "a=1, b=on, c=false"]


def test_paired_levels_go_together() -> None:
    arm_names = names({"width": [64, 128, 256], "lr": [3e-3, 2e-3, 1e-3]}, design={"arms": "paired"})
    assert arm_names == ["lr=0.003, width=64", "lr=0.002, width=128", "lr=0.001, width=256"]


@pytest.mark.parametrize("kind", ["one-factor", "factorial"])
def test_a_factor_exists_only_where_its_condition_holds(kind: str) -> None:
    arm_names = names(RULES, when={"rule": {"k": 8}}, design={"arms": kind})
    assert arm_names == ["k=1", "k=2", "k=8, rule=none", "k=8, rule=sqrt", "k=8, rule=linear"]


def test_a_level_exists_only_where_its_condition_holds() -> None:
    when = {"rule=sqrt": {"k": [2, 8]}, "rule=linear": {"k": 8}}
    wanted = ["k=1, rule=none", "k=2, rule=none", "k=2, rule=sqrt"]
    wanted += ["k=8, rule=none", "k=8, rule=sqrt", "k=8, rule=linear"]
    assert names(RULES, when=when, design={"arms": "factorial"}) == wanted
    assert names(RULES, when=when) == wanted


def test_conditions_nest_to_any_depth() -> None:
    factors = {"norm": ["none", "rms"], "place": ["pre", "post"], "eps": [1e-5, 1e-6]}
    when = {"place": {"norm": "rms"}, "eps": {"place": "post"}}
    wanted = [
        "norm=none",
        "norm=rms, place=pre",
        "eps=1e-05, norm=rms, place=post",
        "eps=1e-06, norm=rms, place=post",
    ]
    assert names(factors, when=when, design={"arms": "factorial"}) == wanted
    assert names(factors, when=when) == wanted
    across = conditions(declared({"a": [0, 1]}, across=factors, when=when))
    assert [condition.name for condition in across] == wanted


def test_excluded_arms_are_not_run() -> None:
    left_out = [{"k": [1, 2], "rule": "linear"}, {"k": 1, "rule": "sqrt"}]
    arm_names = names(RULES, design={"arms": "factorial", "exclude": left_out})
    assert arm_names == [
        "k=1, rule=none",
        "k=2, rule=none",
        "k=2, rule=sqrt",
        "k=8, rule=none",
        "k=8, rule=sqrt",
        "k=8, rule=linear",
    ]


factors = st.dictionaries(
    st.sampled_from("abcd"), st.lists(st.integers(0, 9), min_size=2, max_size=4, unique=True), min_size=1
)


@given(factors)
def test_against_plain_enumeration(compare: dict[str, Any]) -> None:
    ordered = sorted(compare)
    product = [
        dict(zip(ordered, levels, strict=True))
        for levels in itertools.product(*(compare[f] for f in ordered))
    ]
    full = arms(declared(compare, design={"arms": "factorial"}))
    assert [arm.names for arm in full] == [{f: str(v) for f, v in row.items()} for row in product]
    near = [row for row in product if sum(row[f] != compare[f][0] for f in ordered) <= 1]
    single = arms(declared(compare))
    assert {arm.name for arm in single} == {
        arm.name for arm in full if {f: int(v) for f, v in arm.names.items()} in near
    }
    assert single[0] == full[0]


@given(factors, st.data())
def test_conditional_arms_are_the_product_with_what_does_not_exist_taken_out(
    compare: dict[str, Any], data: st.DataObject
) -> None:
    ordered = sorted(compare)
    when: dict[str, Any] = {}
    for parent, child in itertools.pairwise(ordered):
        if data.draw(st.booleans()):
            when[child] = {
                parent: data.draw(st.lists(st.sampled_from(compare[parent]), min_size=1, unique=True))
            }
    expected = set()
    for levels in itertools.product(*(compare[f] for f in ordered)):
        row = dict(zip(ordered, levels, strict=True))
        for child in ordered:  # parents come first, so a factor that went takes its children with it
            if any(
                parent not in row or row[parent] not in allowed
                for parent, allowed in when.get(child, {}).items()
            ):
                del row[child]
        expected.add(", ".join(f"{f}={v}" for f, v in row.items()))
    crossed_arms = arms(declared(compare, when=when, design={"arms": "factorial"}))
    assert len(crossed_arms) == len(expected)
    assert {arm.name for arm in crossed_arms} == expected
    assert {arm.name for arm in arms(declared(compare, when=when))} <= expected


@pytest.mark.parametrize(
    ("levels", "arm"),
    [
        ({"k": "2"}, "k=2"),
        ({"k": "8"}, "k=8, rule=none"),
        ({"k": "8", "rule": "sqrt"}, "k=8, rule=sqrt"),
        ({"rule": "sqrt"}, "k=8, rule=sqrt"),
        ({"k": "2", "rule": "sqrt"}, None),
    ],
)
def test_an_arm_is_found_by_the_levels_that_make_it(levels: dict[str, str], arm: str | None) -> None:
    named = find_arm(arms(declared(RULES, when={"rule": {"k": 8}})), levels)
    assert (named.name if named else None) == arm


def test_a_level_of_several_arms_is_none_of_them() -> None:
    all_arms = arms(declared(RULES, when={"rule": {"k": [2, 8]}}))
    assert find_arm(all_arms, {"rule": "sqrt"}) is None
    crossed = arms(declared(RULES, design={"arms": "factorial"}))
    named = find_arm(crossed, {"rule": "sqrt"})
    assert named is not None
    assert named.name == "k=1, rule=sqrt"
