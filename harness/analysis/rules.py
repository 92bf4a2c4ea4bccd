"""Rules by which pairs decide claims.

Every rule says how sure the pairs are of the claim and of its opposite, as two-sided exact p of the
signed-rank test (which is at most α exactly where the interval of level 1 − α lies on that side of the
bound). That they are p-values lets claims on several arms take Holm's correction: `any` of them for what
confirms, `all` of them for what refutes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from harness.statistics import PairedEstimate, Ranking, mcnemar, most_sensitive, paired_estimate

ALPHA = 0.05
SIGNED_RANK = "exact signed rank"

Values = tuple[tuple[int, float], ...]
"""(replicate, value) of each pair."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One arm against another, on one metric under one condition.

    `pairs` holds log ratios, or differences, or slopes, or whatever the rule says. `counted` marks what
    repeats exactly, so that one value is all there is to know. `steps` holds the changes between the adjacent
    levels of a trend. `lost`: both sides are infinite in every pair, and such ties say nothing of either.
    `p_sign_flip` is a diagnostic of what is paired over seeds.
    """

    procedure: ClassVar[str] = ""
    """How the member is tested, where not as its rule says."""

    metric: str
    arm: str
    against: str
    condition: Mapping[str, str]
    pairs: Values
    counted: bool = False
    steps: tuple[Values, ...] = ()
    lost: bool = False
    p_sign_flip: float | None = None

    @property
    def n(self) -> int:
        return len(self.pairs)

    @property
    def estimate(self) -> PairedEstimate:
        return paired_estimate(dict(enumerate(value for _, value in self.pairs)))

    def numbers(self) -> dict[str, float]:
        """n, the estimate, its intervals and p, as they are kept."""
        found = self.estimate
        numbers = {
            "n": found.n,
            "estimate": found.estimate,
            "low": found.ci95.low,
            "high": found.ci95.high,
            "low90": found.ci90.low,
            "high90": found.ci90.high,
            "t_low": found.t95.low,
            "t_high": found.t95.high,
            "p": found.p,
        }
        if self.counted:  # what repeats exactly has no interval
            numbers |= dict.fromkeys(("low", "high", "low90", "high90", "t_low", "t_high"), found.estimate)
            numbers["p"] = 0.0 if found.estimate else 1.0
        return numbers

    def above(self, bound: float, *, closed: bool = False) -> float:
        """Two-sided p of "the centre is `bound`" where the centre is above it, else 1."""
        return self._beyond(bound, 1.0, closed=closed)

    def below(self, bound: float, *, closed: bool = False) -> float:
        return self._beyond(bound, -1.0, closed=closed)

    def _beyond(self, bound: float, sign: float, *, closed: bool) -> float:
        if self.lost:
            return 1.0
        if self.counted:
            value = sign * (self.pairs[0][1] - bound)
            return 0.0 if value > 0 or (closed and value == 0) else 1.0
        found = paired_estimate({key: sign * (value - bound) for key, (_, value) in enumerate(self.pairs)})
        return found.p if found.estimate > 0 else 1.0

    def inside(self, low: float, high: float) -> float:
        """p of two one-sided tests (Schuirmann 1987): at most 0.05 where the 90 % interval lies between the
        bounds.
        """
        return max(self.above(low), self.below(high)) / 2

    def outside(self, low: float, high: float) -> float:
        return min(self.below(low), self.above(high))

    def same(self, margin: float) -> float:
        """p of "identical, or within ± margin", on the scale of the pairs."""
        if all(value == 0.0 for _, value in self.pairs):
            return 1.0 if self.lost else 0.0
        return self.inside(-margin, margin) if margin > 0 else 1.0


class Tests(NamedTuple):
    """p of what confirms a claim, and of what refutes it."""

    confirm: float
    refute: float


class Rule(Protocol):
    """How pairs decide a claim. `estimates` says whether the centre of the pairs means anything."""

    procedure: ClassVar[str]
    estimates: ClassVar[bool]

    def tests(self, member: Member) -> Tests: ...


@dataclass(frozen=True, kw_only=True)
class Region:
    """The ratio lies between the two: its 90 % interval does. Refuted: the 95 % interval lies outside."""

    procedure: ClassVar[str] = SIGNED_RANK
    estimates: ClassVar[bool] = True
    low: float
    high: float

    def tests(self, member: Member) -> Tests:
        low, high = math.log(self.low), math.log(self.high)
        return Tests(member.inside(low, high), member.outside(low, high))


@dataclass(frozen=True, kw_only=True)
class Bound:
    """The ratio is at least (`side` 1) or at most (−1) `ratio`: its 95 % interval is.

    Refuted: wholly beyond it.
    """

    procedure: ClassVar[str] = SIGNED_RANK
    estimates: ClassVar[bool] = True
    side: int
    ratio: float

    def tests(self, member: Member) -> Tests:
        bound = math.log(self.ratio)
        if self.side > 0:
            return Tests(member.above(bound, closed=True), member.below(bound))
        return Tests(member.below(bound, closed=True), member.above(bound))


@dataclass(frozen=True, kw_only=True)
class Direction:
    """The log ratio is positive (`side` 1) or negative (−1).

    What is the same within the margin has no direction.
    """

    procedure: ClassVar[str] = SIGNED_RANK
    estimates: ClassVar[bool] = True
    side: int
    margin: float

    def tests(self, member: Member) -> Tests:
        same = member.same(self.margin)
        up, down = member.above(0.0), member.below(0.0)
        towards, away = (up, down) if self.side > 0 else (down, up)
        return Tests(1.0 if same <= ALPHA else towards, min(away, same))


@dataclass(frozen=True, kw_only=True)
class Same:
    """Identical, or within the margin. Refuted: the 95 % interval lies outside it."""

    procedure: ClassVar[str] = SIGNED_RANK
    estimates: ClassVar[bool] = True
    margin: float

    def tests(self, member: Member) -> Tests:
        return Tests(member.same(self.margin), member.outside(-self.margin, self.margin))


@dataclass(frozen=True, kw_only=True)
class Slope:
    """The slope is positive (`side` 1) or negative (−1) and no step goes significantly the other way.

    `margin` is on the slope: what changes less over all levels is flat.
    """

    procedure: ClassVar[str] = SIGNED_RANK
    estimates: ClassVar[bool] = True
    side: int
    margin: float

    def tests(self, member: Member) -> Tests:
        towards, away = Direction(side=self.side, margin=self.margin).tests(member)
        back = any(self._against(step) <= ALPHA for step in member.steps)
        return Tests(1.0 if back else towards, away)

    def _against(self, step: Values) -> float:
        found = paired_estimate({key: -self.side * value for key, (_, value) in enumerate(step)})
        return found.p if found.estimate > 0 else 1.0


@dataclass(frozen=True, kw_only=True)
class Discordant:
    """Of pairs in which one side alone diverged (1 the arm, −1 the other), more are the arm's (`side` 1) or
    the other's (−1).
    """

    procedure: ClassVar[str] = "McNemar, exact"
    estimates: ClassVar[bool] = False
    side: int

    def tests(self, member: Member) -> Tests:
        arm = {key: value > 0 for key, value in member.pairs}
        other = {key: value < 0 for key, value in member.pairs}
        found = mcnemar(arm, other)
        more, less = found.only_arm, found.only_baseline
        towards, away = (more, less) if self.side > 0 else (less, more)
        return Tests(found.p if towards > away else 1.0, found.p if away > towards else 1.0)


@dataclass(frozen=True, kw_only=True)
class AmongMostSensitive:
    """Of K factors, each a member, at least K − ⌈K / 3⌉ are significantly below `factor`, Holm over all
    others.

    Refuted: at least ⌈K / 3⌉ are significantly above it. A factor's pairs are its worst log rises
    (`statistics.sensitivity`).
    """

    procedure: ClassVar[str] = "exact signed rank, Holm over the other factors"
    estimates: ClassVar[bool] = True
    factor: str

    @staticmethod
    def top(factors: int) -> int:
        return math.ceil(factors / 3)

    def ranking(self, members: Sequence[Member]) -> Ranking:
        return most_sensitive({member.arm: dict(member.pairs) for member in members}, self.factor)

    def rivals(self, members: Sequence[Member]) -> tuple[int, int]:
        """How many other factors are significantly less sensitive, and how many more."""
        found = self.ranking(members)
        return len(found.smaller), len(found.larger)

    def whole(self, members: Sequence[Member]) -> tuple[Tests, list[Tests]]:
        """The claim's tests: the p at which just enough rivals are below, or above. And each rival's own."""
        each = [self._rival(self.ranking(members), member.arm) for member in members]
        below, above = (sorted(tests[side] for tests in each) for side in (0, 1))
        top = self.top(len(members))
        return Tests(below[len(members) - top - 1], above[top - 1]), each

    def _rival(self, ranking: Ranking, name: str) -> Tests:
        if name == self.factor:
            return Tests(1.0, 1.0)
        rival = ranking.rivals[name]
        estimate = rival.difference.estimate
        return Tests(rival.p_adjusted if estimate > 0 else 1.0, rival.p_adjusted if estimate < 0 else 1.0)

    def tests(self, member: Member) -> Tests:
        raise TypeError(f"a ranking is not decided by {member.arm} alone")


RULES: dict[str, type[Any]] = {
    rule.__name__: rule for rule in (Region, Bound, Direction, Same, Slope, Discordant, AmongMostSensitive)
}
