"""Arms and conditions: the combinations of levels that a study runs.

Factors go by the alphabet, as the order of keys in a file means nothing, but a factor that `when` ties to
others comes after them; levels go as written.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter

from harness.study.schema import Level, Scalar, StudyBase, Where, level_name

MOST = 1000
"""Arms, or conditions, of a study."""

Chosen = dict[str, int]
"""Factor → index of its level; a factor that does not exist there is missing."""


@dataclass(frozen=True, kw_only=True)
class Combination:
    """One level of each factor, by index into the study's lists; the empty combination is that of no factors.

    A factor that exists only `when` others have certain levels is missing where they have not.
    """

    levels: dict[str, int]
    names: dict[str, str]

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def name(self) -> str:
        """`cache=dynamic`; factors are joined by a comma."""
        return ", ".join(f"{factor}={level}" for factor, level in self.names.items())

    def meets(self, where: Where) -> bool:
        """Whether every factor that `where` names has a level that it names."""
        return all(self.names.get(factor) in wanted_levels(asked) for factor, asked in where.items())


def arms(study: StudyBase) -> tuple[Combination, ...]:
    """The arms that are run, the baseline first, those that `design.exclude` names left out."""
    excluded = study.design.exclude
    return tuple(arm for arm in all_arms(study) if not any(arm.meets(where) for where in excluded))


def all_arms(study: StudyBase) -> tuple[Combination, ...]:
    """The arms that the design makes, the baseline first, at most `MOST` + 1 of them.

    one-factor: every factor at its first level, then each other level, one factor at a time. leave-one-out:
    every factor at its last level, then one factor at a time back at its first. A level that only such an arm
    makes possible (`when`) is changed in that arm. factorial: every combination. paired: the first levels
    together, the second together, and so on.
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
    """Every combination of the levels that are varied but not compared, in the order of a factorial design."""
    return _combinations(study.across, _Factors(study.across, study.when).crossed())


def wanted_levels(asked: Scalar | list[Scalar]) -> list[str]:
    """The names of a level, or of each of several, as `when` and `exclude` write them."""
    return [level_name(level) for level in (asked if isinstance(asked, list) else [asked])]


@dataclass(frozen=True)
class _Factors:
    levels: Mapping[str, list[Level]]
    when: Mapping[str, Where]

    @cached_property
    def order(self) -> tuple[str, ...]:
        """By the alphabet, parents before the factors that they make possible. Raises graphlib.CycleError."""
        graph = TopologicalSorter({factor: self._parents(factor) for factor in self.levels})
        graph.prepare()
        found: list[str] = []
        while graph.is_active():
            ready = sorted(graph.get_ready())
            found += ready
            graph.done(*ready)
        return tuple(found)

    def crossed(self) -> Iterator[Chosen]:
        return self._extended({}, self.order)

    def changed_one_by_one(self, default: int) -> Iterator[Chosen]:
        """The default of every factor, then each other level alone; `default` indexes the levels that a
        factor can have.
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
        """This combination, and those that change one factor of it to a level that was not possible before
        it.
        """
        chosen = self._settled(asked, default)
        yield chosen
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
        """The levels that a factor can have where its parents are chosen; none where it does not exist."""
        if not self._met(factor, chosen):
            return []
        levels = enumerate(self.levels[factor])
        return [index for index, level in levels if self._met(f"{factor}={level_name(level)}", chosen)]

    def _met(self, name: str, chosen: Chosen) -> bool:
        return all(
            parent in chosen and level_name(self.levels[parent][chosen[parent]]) in wanted_levels(asked)
            for parent, asked in self.when.get(name, {}).items()
        )

    def _parents(self, factor: str) -> set[str]:
        names = [factor, *(f"{factor}={level_name(level)}" for level in self.levels[factor])]
        return {parent for name in names for parent in self.when.get(name, {})}


def _combinations(factors: Mapping[str, list[Level]], chosen: Iterator[Chosen]) -> tuple[Combination, ...]:
    found: dict[tuple[tuple[str, int], ...], Combination] = {}
    for levels in itertools.islice(chosen, MOST + 1):
        ordered = dict(sorted(levels.items()))
        names = {factor: level_name(factors[factor][index]) for factor, index in ordered.items()}
        found.setdefault(tuple(ordered.items()), Combination(levels=ordered, names=names))
    return tuple(found.values())


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
