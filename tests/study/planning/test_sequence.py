"""Sequences: balanced in what follows what and in what comes first, whatever the number of rounds."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.study.planning.sequence import Block, Sequence

arms = st.integers(2, 9)
conditions = st.integers(1, 4)
rounds = st.integers(6, 30)
seeds = st.integers(-1000, 1000)


def blocks(sequence: Sequence, number: int) -> list[Block]:
    return [block for index in range(number) for block in sequence.round(index)]


def spread(counts: Counter[int], size: int) -> int:
    """The difference between the most and the least frequent of the numbers from 0 to `size`."""
    times = [counts[number] for number in range(size)]
    return max(times) - min(times)


@given(arms=arms, conditions=conditions, number=rounds, seed=seeds)
def test_every_arm_follows_every_arm_equally_often(
    arms: int, conditions: int, number: int, seed: int
) -> None:
    """Over the boundaries of blocks and rounds, itself included, and the arm before the first round too."""
    sequence = Sequence(arms=arms, conditions=conditions, seed=seed)
    order = [sequence.arm_before(0), *(arm for block in blocks(sequence, number) for arm in block.arms)]
    follows = Counter(before * arms + after for before, after in pairwise(order))
    assert spread(follows, arms * arms) <= 2
    assert spread(Counter(a for a, b in pairwise(order) if a == b), arms) <= 1
    complete = [sequence.arm_before(0), *(a for block in blocks(sequence, 2 * arms) for a in block.arms)]
    cycles = Counter(before * arms + after for before, after in pairwise(complete))
    assert spread(cycles, arms * arms) == 0


@given(arms=arms, conditions=conditions, number=rounds, seed=seeds)
def test_every_arm_comes_first_equally_often_under_every_condition(
    arms: int, conditions: int, number: int, seed: int
) -> None:
    made = blocks(Sequence(arms=arms, conditions=conditions, seed=seed), number)
    assert spread(Counter(block.arms[0] for block in made), arms) <= 1
    for condition in range(conditions):
        firsts = Counter(block.arms[0] for block in made if block.condition == condition)
        assert spread(firsts, arms) <= (1 if conditions == 1 else 4)


@given(arms=arms, conditions=st.integers(1, 8), number=st.integers(0, 6), seed=seeds)
def test_no_arm_is_always_before_another(arms: int, conditions: int, number: int, seed: int) -> None:
    """Under a condition, in more rounds than arms: `TrialTable.check_rounds` counts on it."""
    made = blocks(Sequence(arms=arms, conditions=conditions, seed=seed), max(6, arms + 1) + number)
    for condition in range(conditions):
        orders = [block.arms for block in made if block.condition == condition]
        for one, other in combinations(range(arms), 2):
            assert len({order.index(one) < order.index(other) for order in orders}) == 2


@given(arms=arms, conditions=conditions, number=rounds, seed=seeds)
def test_a_round_has_every_arm_under_every_condition_and_begins_where_the_last_one_ended(
    arms: int, conditions: int, number: int, seed: int
) -> None:
    sequence = Sequence(arms=arms, conditions=conditions, seed=seed)
    for index in range(number):
        made = sequence.round(index)
        assert sorted(block.condition for block in made) == list(range(conditions))
        assert all(sorted(block.arms) == list(range(arms)) for block in made)
        assert sequence.arm_before(index + 1) == made[-1].arms[-1]


@given(arms=arms, conditions=conditions, seed=seeds)
def test_a_round_does_not_depend_on_how_many_there_are(arms: int, conditions: int, seed: int) -> None:
    one, other = (Sequence(arms=arms, conditions=conditions, seed=seed) for _ in range(2))
    assert one.round(20) == other.round(20)
    assert [one.round(index) for index in range(20)] == [other.round(index) for index in range(20)]


@pytest.mark.parametrize("conditions", [1, 2, 3, 4])
def test_two_arms_take_turns_over_all_boundaries_and_under_every_condition(conditions: int) -> None:
    made = blocks(Sequence(arms=2, conditions=conditions, seed=7), 12)
    first = made[0].arms
    assert [block.arms for block in made] == [first, first[::-1]] * (6 * conditions)
    for condition in range(conditions):
        orders = [block.arms for block in made if block.condition == condition]
        assert all(set(pair) == {first, first[::-1]} for pair in zip(orders[::2], orders[1::2], strict=True))


def test_the_first_order_is_drawn() -> None:
    firsts = Counter(Sequence(arms=3, conditions=2, seed=seed).round(0)[0] for seed in range(300))
    assert {block.arms[0] for block in firsts} == {0, 1, 2}
    assert {block.condition for block in firsts} == {0, 1}
    negative = {Sequence(arms=5, conditions=3, seed=seed).round(0) for seed in (-1, 1)}
    assert len(negative) == 2


def test_thirty_conditions_of_four_arms_are_balanced_as_well() -> None:
    made = blocks(Sequence(arms=4, conditions=30, seed=1), 12)
    for condition in range(30):
        firsts = Counter(block.arms[0] for block in made if block.condition == condition)
        assert spread(firsts, 4) <= 3
