"""What a verdict on a claim is computed from, and the computation: a rule, the paired values of each arm, and
nothing else.

The store keeps it beside the verdict, so that anybody can compute the verdict again from that row alone.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, NamedTuple

import numpy as np

from harness.analysis.results import ClaimVerdict
from harness.analysis.rules import ALPHA, RULES, AmongMostSensitive, Member, Rule, Tests, Values
from harness.analysis.score_contrasts import ScoredMember
from harness.statistics import holm


class Decision(NamedTuple):
    """`tests` of the claim as a whole, and of each of its members, adjusted where the claim takes the
    correction.
    """

    verdict: ClaimVerdict
    tests: Tests
    members: tuple[tuple[ClaimVerdict, Tests], ...]


@dataclass(frozen=True, kw_only=True)
class Basis:
    """All that a verdict rests on.

    `open` says why it stays undecided whatever the pairs say; empty where it need not.
    """

    rule: Rule
    members: tuple[Member, ...]
    of: Literal["all", "any"] = "all"
    open: str = ""

    def decide(self) -> Decision:
        """The verdict.

        Of all arms: each must confirm; one that refutes, after Holm, is enough. Of any: the mirror.
        """
        if isinstance(self.rule, AmongMostSensitive):
            whole, rivals = self.rule.whole(self.members)
            return Decision(
                self._verdict(whole), whole, tuple((self._verdict(tests), tests) for tests in rivals)
            )
        found = [self.rule.tests(member) for member in self.members]
        confirm, refute = [t.confirm for t in found], [t.refute for t in found]
        if self.of == "any":
            confirm = _holm(confirm)
            whole = Tests(min(confirm), max(refute))
        else:
            refute = _holm(refute)
            whole = Tests(max(confirm), min(refute))
        each = tuple(map(Tests, confirm, refute))
        return Decision(self._verdict(whole), whole, tuple((self._verdict(tests), tests) for tests in each))

    def _verdict(self, tests: Tests) -> ClaimVerdict:
        if self.open:
            return "undecided"
        if tests.confirm <= ALPHA:
            return "confirmed"
        return "refuted" if tests.refute <= ALPHA else "undecided"

    def plain(self) -> dict[str, Any]:
        """As JSON keeps it, with the estimates, the p-values and the versions of what computed them."""
        decision = self.decide()
        return {
            "procedure": self.members[0].procedure or self.rule.procedure,
            "alpha": ALPHA,
            "rule": {"name": type(self.rule).__name__, **asdict(self.rule)},  # type: ignore[call-overload]
            "of": self.of,
            "open": self.open,
            "p_confirm": decision.tests.confirm,
            "p_refute": decision.tests.refute,
            "members": [
                {
                    **asdict(member),
                    "pairs": _lists(member.pairs),
                    "steps": [_lists(step) for step in member.steps],
                    **(member.numbers() if self.rule.estimates else {"n": member.n}),
                    "p_confirm": tests.confirm,
                    "p_refute": tests.refute,
                }
                for member, (_, tests) in zip(self.members, decision.members, strict=True)
            ],
            "versions": {"python": platform.python_version(), "numpy": np.__version__},
        }

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Basis:
        """The basis that `plain` made, from the store: deciding it anew must give the verdict beside it."""
        rule = dict(stored["rule"])
        kind = RULES[rule.pop("name")]
        members = []
        for row in stored["members"]:
            member = ScoredMember if "difference" in row else Member
            names = {field.name for field in fields(member)}
            kept = {key: value for key, value in row.items() if key in names}
            if "beyond" in kept:
                kept["beyond"] = tuple((bound, p) for bound, p in kept["beyond"])
            kept["pairs"] = _tuples(row["pairs"])
            kept["steps"] = tuple(_tuples(step) for step in row["steps"])
            members.append(member(**kept))
        return cls(rule=kind(**rule), members=tuple(members), of=stored["of"], open=stored["open"])


def _holm(p_values: list[float]) -> list[float]:
    return list(holm({str(place): p for place, p in enumerate(p_values)}).values())


def _lists(values: Values) -> list[list[float]]:
    return [[key, value] for key, value in values]


def _tuples(values: list[list[float]]) -> Values:
    return tuple((int(key), float(value)) for key, value in values)
