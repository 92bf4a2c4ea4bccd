"""What the verdict on a claim is computed from, and the computation: a rule, the values of each arm, and
nothing else.

The store keeps the basis beside the verdict, so that anybody can compute the verdict again from that row
alone.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from harness.analysis.member import Member, ScoredMember, Values
from harness.analysis.results import ALPHA, ClaimVerdict
from harness.statistics import holm, holm_levels, signed_rank_procedure

ArmsNeeded = Literal["all", "any"]


class Tests(NamedTuple):
    """p of the data if the claim is not true, and p of the data if its opposite is not true."""

    confirm: float
    refute: float

    def verdict(self, alpha: float = ALPHA) -> ClaimVerdict:
        """The verdict at the level `alpha`, which is smaller where several claims share a family."""
        if self.confirm <= alpha:
            return "confirmed"
        return "refuted" if self.refute <= alpha else "undecided"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How values decide a claim. Its fields are plain data, which the store keeps under the name of the
    class.
    """

    procedure: ClassVar[str] = "exact signed rank"
    estimates: ClassVar[bool] = True
    """Whether the centre of the values means anything."""
    ties: ClassVar[bool] = False
    """Whether pairs that are infinite on both sides are ties: only the direction treats them so."""

    def tests(self, member: Member) -> Tests:
        """How sure the values of one arm are of the claim, and of its opposite."""
        raise NotImplementedError(f"{type(self).__name__} does not judge {member.arm} alone")

    def decide(self, members: Sequence[Member], needed: ArmsNeeded) -> tuple[Tests, tuple[Tests, ...]]:
        """The tests of the claim, and of each arm after the correction.

        If all arms are needed, each must confirm, and one that refutes after Holm's correction is enough. If
        any arm is enough, it is the other way round.
        """
        tests = [self.tests(member) for member in members]
        confirm, refute = [t.confirm for t in tests], [t.refute for t in tests]
        if needed == "any":
            confirm = _holm(confirm)
            claim = Tests(min(confirm), max(refute))
        else:
            refute = _holm(refute)
            claim = Tests(max(confirm), min(refute))
        return claim, tuple(map(Tests, confirm, refute))

    def member_alphas(self, members: Sequence[Member], needed: ArmsNeeded, alpha: float) -> list[float]:
        """The level at which each arm is tested if the claim is tested at `alpha`: an interval of this level
        agrees with the verdict on the arm.
        """
        tests = [self.tests(member) for member in members]
        side = [t.confirm if needed == "any" else t.refute for t in tests]
        levels = holm_levels({str(index): p for index, p in enumerate(side)}, alpha=alpha).values()
        return [level if p <= min(t) else alpha for level, p, t in zip(levels, side, tests, strict=True)]


@dataclass(frozen=True, kw_only=True)
class Basis:
    """All that a verdict rests on.

    `open` says why the claim stays undecided whatever the values are. It is empty for a claim that can be
    decided. `alpha` is the level at which the claim is tested within its family.
    """

    rule: Rule
    members: tuple[Member, ...]
    needed: ArmsNeeded = "all"
    open: str = ""
    alpha: float = ALPHA

    @cached_property
    def _decision(self) -> tuple[Tests, tuple[Tests, ...]]:
        return self.rule.decide(self.members, self.needed)

    @property
    def tests(self) -> Tests:
        """The tests of the claim."""
        return self._decision[0]

    @property
    def member_tests(self) -> tuple[Tests, ...]:
        """The tests of each arm."""
        return self._decision[1]

    @property
    def verdict(self) -> ClaimVerdict:
        return "undecided" if self.open else self.tests.verdict(self.alpha)

    @property
    def member_verdicts(self) -> list[ClaimVerdict]:
        return ["undecided" if self.open else tests.verdict(self.alpha) for tests in self.member_tests]

    @property
    def _procedure(self) -> str:
        """That of the rule, with the approximation that many pairs need."""
        most = max(member.n for member in self.members)
        return self.rule.procedure.replace(signed_rank_procedure(0), signed_rank_procedure(most))

    def plain(self) -> dict[str, Any]:
        """As JSON, with the estimates, the p-values and the versions of the programs that computed them."""
        return {
            "procedure": self.members[0].procedure or self._procedure,
            "alpha": self.alpha,
            "rule": {"name": type(self.rule).__name__, **asdict(self.rule)},
            "of": self.needed,
            "open": self.open,
            "p_confirm": self.tests.confirm,
            "p_refute": self.tests.refute,
            "members": [
                {
                    **asdict(member),
                    "pairs": _lists(member.pairs),
                    "steps": [_lists(step) for step in member.steps],
                    **(member.numbers(self.alpha) if self.rule.estimates else {"n": member.n}),
                    "p_confirm": tests.confirm,
                    "p_refute": tests.refute,
                }
                for member, tests in zip(self.members, self.member_tests, strict=True)
            ],
            "versions": {"python": platform.python_version(), "numpy": np.__version__},
        }

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Basis:
        """The basis that `plain` made, from the store. Its verdict is the one that was stored beside it."""
        arguments = dict(stored["rule"])
        name = arguments.pop("name")
        rule = next(kind for kind in Rule.__subclasses__() if kind.__name__ == name)
        members = tuple(map(_read_member, stored["members"]))
        return cls(
            rule=rule(**arguments),
            members=members,
            needed=stored["of"],
            open=stored["open"],
            alpha=stored.get("alpha", ALPHA),
        )


def _read_member(row: Mapping[str, Any]) -> Member:
    kind = ScoredMember if "difference" in row else Member
    names = {field.name for field in fields(kind)}
    values = {key: value for key, value in row.items() if key in names}
    values["unknown"] = tuple(row.get("unknown", [key for key, _ in row["pairs"]] if row.get("lost") else ()))
    values |= {"pairs": _tuples(row["pairs"]), "steps": tuple(map(_tuples, row["steps"]))}
    if "beyond" in values:
        values["beyond"] = tuple((bound, p) for bound, p in row["beyond"])
    return kind(**values)


def _holm(p_values: list[float]) -> list[float]:
    return list(holm({str(index): p for index, p in enumerate(p_values)}).values())


def _lists(values: Values) -> list[list[float]]:
    return [[key, value] for key, value in values]


def _tuples(values: list[list[float]]) -> Values:
    return tuple((int(key), float(value)) for key, value in values)
