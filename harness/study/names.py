"""How factors, levels, arms and conditions are named for people: by the labels that a study declares, or else
by short names that are derived from paths.

Names are only shown. An arm is identified by its full name (`harness.study.arms.Combination`), so a new label
changes no trial and no claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from harness.study.arms import Combination, all_arms
from harness.study.schema import StudyBase
from harness.wording import at_condition, words

_SAYS_NOTHING = ("kind",)
"""Last parts of paths that many settings share, such as `optimizer.kind`."""


@dataclass(frozen=True)
class Names:
    """The names of a study. `more` are settings that have a name too although they are no factors: those that
    a search tries.
    """

    study: StudyBase
    more: tuple[str, ...] = ()

    def factor(self, factor: str) -> str:
        """`learning rate`, if that is its label; otherwise `lr` for `optimizer.lr`."""
        return self._factors.get(factor) or words(factor)

    def titled(self, factor: str) -> str:
        """The name of a factor with its unit, for axes and heads of columns: `length (tokens)`."""
        unit = self._unit(factor)
        return f"{self.factor(factor)} ({unit})" if unit else self.factor(factor)

    def level(self, factor: str, level: str) -> str:
        """The label of a level, or its name, with the unit of the factor if it is a number."""
        label = self.bare_level(factor, level)
        unit = self._unit(factor)
        return f"{label} {unit}" if unit and label == level and _is_number(level) else label

    def bare_level(self, factor: str, level: str) -> str:
        """The same without a unit, for axes that have one."""
        declared = self.study.labels.get(factor)
        return declared.levels.get(level, level) if declared else level

    def combination(self, levels: Mapping[str, str]) -> str:
        """`lr 0.003, warmup 2`. Empty without levels."""
        return ", ".join(f"{factor} {level}" for factor, level in self._shown(levels).items())

    def condition(self, levels: Mapping[str, str]) -> str:
        """`new tokens = 64`, or `all trials` in a study without conditions."""
        return (
            ", ".join(f"{factor} = {level}" for factor, level in self._shown(levels).items()) or "all trials"
        )

    def at(self, levels: Mapping[str, str]) -> str:
        """` at new tokens 64`, with a space before it; empty if the study has no conditions."""
        return at_condition(self._shown(levels))

    def trial(self, what: Iterable[str], arm: str, levels: Mapping[str, str]) -> str:
        """`generate cache=dynamic at new tokens 16`. `what` are the words before the arm."""
        named = " ".join(part for part in (*what, self.arms.get(arm, arm)) if part)
        return f"{named}{self.at(levels)}".strip()

    def attempt(
        self, what: Iterable[str], arm: str, levels: Mapping[str, str], seed: int, round_: int
    ) -> str:
        """`generate cache=dynamic at new tokens 16, seed 0 round 3`. Round 0 is before all rounds."""
        rounds = f" round {round_}" if round_ else ""
        return f"{self.trial(what, arm, levels)}, seed {seed}{rounds}"

    @cached_property
    def arms(self) -> dict[str, str]:
        """The short name of each arm by its full name, for those that have one: `baseline`, or the levels in
        which an arm differs from it.

        An arm of a study with one factor keeps its full name, unless that has a label or is a path.
        """
        baseline, *others = all_arms(self.study)
        if len(self.study.compare) == 1:
            [factor] = self.study.compare
            plain = self.factor(factor) == words(factor) and factor not in self.study.labels
            named = {} if plain else {arm.name: self.combination(arm.names) for arm in (baseline, *others)}
        else:
            named = {arm.name: self.difference(arm, baseline) or arm.name for arm in others}
            named = {baseline.name: "baseline", **named}
        return named if len(set(named.values())) == len(named) else {}

    def difference(self, arm: Combination, baseline: Combination) -> str:
        """The levels in which an arm differs from the baseline."""
        changed = arm.names.items() - baseline.names.items()
        return self.combination({key: level for key, level in arm.names.items() if (key, level) in changed})

    def _shown(self, levels: Mapping[str, str]) -> dict[str, str]:
        return {self.factor(factor): self.level(factor, name) for factor, name in levels.items()}

    @cached_property
    def _factors(self) -> dict[str, str]:
        study = self.study
        declared = {factor: one.label for factor, one in study.labels.items() if one.label}
        tuned = study.design.tune.settings if study.design.tune else ()
        paths = dict.fromkeys((*study.compare, *study.across, *tuned, *self.more))
        unnamed = [path for path in paths if path not in declared]
        return declared | short_paths(unnamed, taken=declared.values())

    def _unit(self, factor: str) -> str:
        declared = self.study.labels.get(factor)
        return declared.unit if declared else ""


def short_paths(paths: Iterable[str], *, taken: Iterable[str] = ()) -> dict[str, str]:
    """Path → the shortest end of it that no other path and no name that is `taken` has, as words."""
    names: dict[str, str] = {}
    endings = {path: _endings(path) for path in paths}
    unavailable = set(taken)
    for path, ends_here in endings.items():
        others = {end for other, ends in endings.items() if other != path for end in ends}
        names[path] = next((end for end in ends_here if end not in others | unavailable), path)
    return names


def _endings(path: str) -> list[str]:
    parts = path.split(".")
    if len(parts) > 1 and parts[-1] in _SAYS_NOTHING:
        parts.pop()
    return [words(" ".join(parts[-length:])) for length in range(1, len(parts) + 1)]


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True
