"""Arms and conditions: the combinations of levels that a study runs.

Factors are in alphabetical order, because the order of keys in a file means nothing. A factor that depends
on others under `when` comes after them. Levels keep the order of the file.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter

from harness.study.levels import Level, Scalar, Where, level_name
from harness.study.schema import StudyBase

MOST = 1000
"""The largest number of arms, and of conditions, of a study."""

MOST_FACTORS = 50
"""The largest number of factors of a study, compared or not."""

MOST_TASKS = 5000
"""The largest number of arms times conditions. The settings of each are read and checked."""

Chosen = dict[str, int]
"""Factor → index of its level. A factor that does not exist there is missing."""


@dataclass(frozen=True, kw_only=True)
class Combination:
    """One level of each factor, by its index in the study's list and by its name. Without factors it is
    empty.

    A factor that exists only `when` others have certain levels is missing if they have other levels.
    """

    levels: dict[str, int]
    names: dict[str, str]

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def name(self) -> str:
        """For example `cache=dynamic`. Several factors are separated by commas."""
        return ", ".join(f"{factor}={level}" for factor, level in self.names.items())

    def meets(self, where: Where) -> bool:
        """Whether every factor in `where` has one of the levels that are listed there."""
        return all(self.names.get(factor) in wanted_levels(asked) for factor, asked in where.items())


def arms(study: StudyBase) -> tuple[Combination, ...]:
    """The arms that are run, the baseline first, without the arms under `design.exclude`."""
    excluded = study.design.exclude
    return tuple(arm for arm in all_arms(study) if not any(arm.meets(where) for where in excluded))


def all_arms(study: StudyBase) -> tuple[Combination, ...]:
    """The arms of the design, the baseline first, at most `MOST` + 1 of them.

    one-factor: every factor at its first level, then every other level, one factor at a time. leave-one-out:
    every factor at its last level, then one factor at a time at its first level. A level that only such an
    arm makes possible (`when`) is changed in that arm. factorial: every combination. paired: all first levels
    together, all second levels together, and so on.
    """
    factors = _Factors(study.compare, study.when)
    match study.design.arms:
        case "one-factor":
            chosen = factors.changed_one_by_one(default=0)
        case "leave-one-out":
            chosen = factors.changed_one_by_one(default=-1)
        case "factorial":
            chosen = factors.crossed()
        case "paired":
            count = min(len(levels) for levels in study.compare.values())
            chosen = (dict.fromkeys(study.compare, index) for index in range(count))
    return _combinations(study.compare, chosen)


def conditions(study: StudyBase) -> tuple[Combination, ...]:
    """Every combination of levels of the factors under `across`, in the order of a factorial design."""
    return _combinations(study.across, _Factors(study.across, study.when).crossed())


def wanted_levels(asked: Scalar | list[Scalar]) -> list[str]:
    """The names of one level or of several, as `when` and `exclude` list them."""
    return [level_name(level) for level in (asked if isinstance(asked, list) else [asked])]


@dataclass(frozen=True)
class _Factors:
    levels: Mapping[str, list[Level]]
    when: Mapping[str, Where]

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Alphabetical, but parents come before the factors that depend on them. Raises graphlib.CycleError
        if factors depend on each other in a circle.
        """
        graph = TopologicalSorter({factor: self._parents(factor) for factor in self.levels})
        graph.prepare()
        order: list[str] = []
        while graph.is_active():
            ready = sorted(graph.get_ready())
            order += ready
            graph.done(*ready)
        return tuple(order)

    def crossed(self) -> Iterator[Chosen]:
        return self._extended({}, self.order)

    def changed_one_by_one(self, default: int) -> Iterator[Chosen]:
        """Every factor at its default, then every other level, one at a time. `default` is an index into the
        levels that a factor can have.
        """
        return self._departures({}, default, frozenset())

    def _extended(self, chosen: Chosen, rest: tuple[str, ...]) -> Iterator[Chosen]:
        if not rest:
            yield chosen
            return
        factor = rest[0]
        possible = self._possible(factor, chosen)
        for added in [{factor: index} for index in possible] or [{}]:
            yield from self._extended({**chosen, **added}, rest[1:])

    def _departures(self, asked: Chosen, default: int, known: frozenset[tuple[str, int]]) -> Iterator[Chosen]:
        """This combination, and all that change one of its factors to a level that no earlier combination
        made possible.
        """
        chosen = self._settled(asked, default)
        yield chosen
        if known and not self.when:
            return  # every level was possible from the beginning
        possible = frozenset((factor, index) for factor in chosen for index in self._possible(factor, chosen))
        for factor, index in sorted(possible - known):
            if chosen[factor] != index and factor not in asked:
                yield from self._departures({**asked, factor: index}, default, known | possible)

    def _settled(self, asked: Chosen, default: int) -> Chosen:
        chosen: Chosen = {}
        for factor in self.order:
            if possible := self._possible(factor, chosen):
                chosen[factor] = asked.get(factor, possible[default])
        return chosen

    def _possible(self, factor: str, chosen: Chosen) -> list[int]:
        """The levels that a factor can have, given the levels of its parents. None if it does not exist."""
        if not self._met(factor, chosen):
            return []
        depending = self._depending[factor]
        return [
            index
            for index in range(len(self.levels[factor]))
            if index not in depending or self._met(depending[index], chosen)
        ]

    @cached_property
    def _depending(self) -> dict[str, dict[int, str]]:
        """For each factor the names under `when` of its levels that depend on other factors, by index."""
        names = {
            factor: {index: f"{factor}={level_name(level)}" for index, level in enumerate(levels)}
            for factor, levels in self.levels.items()
        }
        return {
            factor: {index: name for index, name in named.items() if name in self.when}
            for factor, named in names.items()
        }

    def _met(self, name: str, chosen: Chosen) -> bool:
        return all(
            parent in chosen and level_name(self.levels[parent][chosen[parent]]) in wanted_levels(asked)
            for parent, asked in self.when.get(name, {}).items()
        )

    def _parents(self, factor: str) -> set[str]:
        names = [factor, *(f"{factor}={level_name(level)}" for level in self.levels[factor])]
        return {parent for name in names for parent in self.when.get(name, {})}


def _combinations(factors: Mapping[str, list[Level]], chosen: Iterator[Chosen]) -> tuple[Combination, ...]:
    combinations: dict[tuple[tuple[str, int], ...], Combination] = {}
    for levels in itertools.islice(chosen, MOST + 1):
        ordered = dict(sorted(levels.items()))
        names = {factor: level_name(factors[factor][index]) for factor, index in ordered.items()}
        combinations.setdefault(tuple(ordered.items()), Combination(levels=ordered, names=names))
    return tuple(combinations.values())


def find_arm(choices: Sequence[Combination], levels: Mapping[str, Scalar]) -> Combination | None:
    """The arm with these levels, and elsewhere the levels of the baseline, which is the first choice.

    None where no arm, or no single arm, is meant. Factors that the baseline lacks are at their first level,
    unless they are named. Where no arm is like the baseline in all other factors, the only arm with these
    levels is meant.
    """
    wanted = {factor: level_name(level) for factor, level in levels.items()}
    having = [arm for arm in choices if wanted.items() <= arm.names.items()]
    rest = {factor: name for factor, name in choices[0].names.items() if factor not in wanted}
    alike = [arm for arm in having if all(arm.names.get(f, name) == name for f, name in rest.items())]
    if alike:
        return alike[0]
    return having[0] if len(having) == 1 else None


def named_arm(choices: Sequence[Combination], levels: Mapping[str, Scalar]) -> Combination:
    """The arm that `find_arm` finds, in a study that was checked, so that there is one."""
    arm = find_arm(choices, levels)
    assert arm is not None
    return arm


def named_condition(choices: Sequence[Combination], levels: Mapping[str, Scalar]) -> Combination:
    """The condition with these levels. A factor that has only one level need not be named."""
    wanted = {factor: level_name(level) for factor, level in levels.items()}.items()
    return next(condition for condition in choices if wanted <= condition.names.items())
