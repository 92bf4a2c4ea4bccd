"""The order of the arms and conditions of a study: a serially balanced sequence.

A trial can change the next one: it leaves a warm machine, or a full cache. So the arms follow each other in
blocks, each of which holds every arm once, and every arm follows every arm equally often, itself included: a
block begins with the arm that ended the block before, whatever round or condition that was. Finney &
Outhwaite (1956) call such sequences serially balanced, of type 1; Nonyane & Theobald (2007) compare them with
others.
Two arms run A B, B A, A B, B A …: both trials of a block follow the same arm, so what an arm does to the next
trial is equal in both and cancels.

The blocks are those of Williams (1949): the zigzag i, i + 1, i − 1, i + 2 … modulo the number of arms K for
every i, and as many blocks of a second kind, which are the reversed zigzags if K is odd and the zigzags of
relabelled arms if K is even. In these 2 K blocks every arm comes first twice, and every arm follows every
other arm twice.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations, count, islice
from typing import NamedTuple

Order = tuple[int, ...]
"""The arms of a block, by their numbers from 0."""


class Block(NamedTuple):
    """Every arm once under one condition, by their numbers from 0."""

    condition: int
    arms: Order


class Sequence:
    """The rounds of a study, each with one block per condition.

    The first order is drawn with `seed`. Nothing depends on the number of rounds, so a longer study begins
    with the rounds of a shorter one.
    """

    def __init__(self, *, arms: int, conditions: int, seed: int) -> None:
        self._rounds: list[tuple[Block, ...]] = []
        self._further = _rounds(arms, conditions, random.Random(str(seed)))

    def round(self, index: int) -> tuple[Block, ...]:
        """The blocks of the round with this number, which counts from 0."""
        self._rounds += islice(self._further, max(0, index + 1 - len(self._rounds)))
        return self._rounds[index]

    def arm_before(self, index: int) -> int:
        """The arm that the sequence has before this round: the one that the round begins with."""
        return self.round(index)[0].arms[0]


@lru_cache(maxsize=64)
def balanced_sequence(*, arms: int, conditions: int, seed: int) -> Sequence:
    """The sequence with this seed. It remembers its rounds, because plans are made often."""
    return Sequence(arms=arms, conditions=conditions, seed=seed)


def _rounds(arms: int, conditions: int, chance: random.Random) -> Iterator[tuple[Block, ...]]:
    """All rounds, without an end.

    The orders of the arms follow from each other. So it is the order of the conditions that lets each
    condition have every order, and every arm as its first one, equally often; and, as far as that allows,
    come at every point of a round equally often. Chance decides the rest: conditions of a drawn order are
    exchanged as long as that is better.
    """
    orders = _orders(chance.sample(range(arms), arms))
    used: Counter[tuple[int, Order]] = Counter()
    begun: Counter[tuple[int, int]] = Counter()
    stood: Counter[tuple[int, int]] = Counter()
    for _ in count():
        following = tuple(islice(orders, conditions))
        costs = [
            [
                (used[one, order] + begun[one, order[0]], stood[one, turn])
                for turn, order in enumerate(following)
            ]
            for one in range(conditions)
        ]
        drawn = _exchanged(chance.sample(range(conditions), conditions), costs)
        for turn, (condition, order) in enumerate(zip(drawn, following, strict=True)):
            used[condition, order] += 1
            begun[condition, order[0]] += 1
            stood[condition, turn] += 1
        yield tuple(map(Block, drawn, following))


def _exchanged(drawn: list[int], costs: list[list[tuple[int, int]]]) -> list[int]:
    """The drawn order of conditions after all exchanges of two that lower `costs[condition][turn]`."""
    changed = True
    while changed:
        changed = False
        for i, j in combinations(range(len(drawn)), 2):
            one, other = drawn[i], drawn[j]
            now, then = (costs[one][i], costs[other][j]), (costs[other][i], costs[one][j])
            if tuple(map(sum, zip(*then, strict=True))) < tuple(map(sum, zip(*now, strict=True))):
                drawn[i], drawn[j], changed = other, one, True
    return drawn


def _orders(labels: list[int]) -> Iterator[Order]:
    """The orders of the arms in all blocks, without an end. Each begins with the arm that ended the last one.

    The two kinds of blocks are passed through such that every K blocks begin with every arm once. A zigzag
    that begins at i ends at i + (K + 1) / 2 if K is odd, so zigzags alone pass through all arms, and reversed
    zigzags do so backwards. If K is even, it ends at i + K / 2, and the next zigzag would end at i again, so
    the kinds alternate.
    """
    arms = len(labels)
    zigzags = [_zigzag(first, arms) for first in range(arms)]
    if arms % 2:
        second = [tuple(reversed(order)) for order in zigzags]
    else:
        half = arms // 2
        other = [*range(half), *(half + (arm + 1) % half for arm in range(half))]
        second = [tuple(other[arm] for arm in order) for order in zigzags]
    kinds = [{order[0]: order for order in kind} for kind in (zigzags, second)]
    first = 0
    for turn in count():
        kind = turn // arms + (0 if arms % 2 else turn)
        order = kinds[kind % 2][first]
        yield tuple(labels[arm] for arm in order)
        first = order[-1]


def _zigzag(first: int, arms: int) -> Order:
    """first, first + 1, first − 1, first + 2, … modulo the number of arms."""
    steps = [0]
    for step in range(1, arms):
        steps.append(steps[-1] + (step if step % 2 else -step))
    return tuple((first + step) % arms for step in steps)
