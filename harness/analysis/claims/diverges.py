"""How the form `diverges` is settled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.analysis.claims.arms import ArmResult, ComparisonSettlement
from harness.analysis.claims.decision import Rule, Tests
from harness.analysis.member import Member
from harness.analysis.results import ClaimVerdict, Numbers
from harness.statistics import mcnemar
from harness.study.arms import Combination, named_condition
from harness.study.claims.diverges import DivergesClaim
from harness.wording import count


@dataclass(frozen=True, kw_only=True)
class Discordant(Rule):
    """Among the pairs in which only one side diverged (1 the arm, −1 the other arm), most are the arm's
    (`side` 1) or the other arm's (−1).
    """

    procedure: ClassVar[str] = "McNemar, exact"
    estimates: ClassVar[bool] = False
    side: int

    def tests(self, member: Member) -> Tests:
        result = mcnemar(
            {key: value > 0 for key, value in member.pairs}, {key: value < 0 for key, value in member.pairs}
        )
        towards, away = result.only_arm, result.only_baseline
        if self.side < 0:
            towards, away = away, towards
        return Tests(result.p if towards > away else 1.0, result.p if away > towards else 1.0)


class DivergesSettlement(ComparisonSettlement[DivergesClaim]):
    """`Discordant` decides, on one pair per seed."""

    @property
    def claimed(self) -> str:
        return f"diverges {self.claim.diverges} often"

    @property
    def rule(self) -> Discordant:
        return Discordant(side=-1 if self.claim.diverges == "less" else 1)

    def result(self, arm: Combination) -> ArmResult:
        condition, label = named_condition(self.loaded.conditions, self.claim.at), self.loaded.label(arm.name)
        lost, other_lost = (self._diverged(side, condition) for side in (arm, self.other))
        n, number, other_number = len(lost), sum(lost.values()), sum(other_lost.values())
        member = Member(
            metric="divergence",
            arm=arm.name,
            against=self.other.name,
            condition=condition.names,
            pairs=tuple((seed, float(lost[seed]) - float(other_lost[seed])) for seed in sorted(lost)),
        )
        p = min(self.rule.tests(member))
        return ArmResult(
            member=member,
            label=label,
            effect=f"{number} against {other_number} of {count(n, 'seed')}",
            interval=f"p {p:.2g}",
            measured=f"{label}{self.loaded.at(condition.names)} diverges on {number} of {count(n, 'seed')}, "
            f"{self.other_label} on {other_number} (McNemar's exact p {p:.2g})",
            numbers=Numbers(effect=(number - other_number) / n),
        )

    def position(self, result: ArmResult, verdict: ClaimVerdict) -> str:
        if verdict == "confirmed":
            return f"{self.claim.diverges} often, as claimed"
        if verdict == "refuted":
            return f"{'more' if self.claim.diverges == 'less' else 'less'} often, the opposite of the claim"
        return "too few seeds differ to decide"

    def _diverged(self, arm: Combination, condition: Combination) -> dict[int, bool]:
        """Seed → whether the training diverged in any of its rounds."""
        trials = self.evidence.trials(arm, condition)
        return {seed: any(trial.notes.get("diverged") for trial in rows) for seed, rows in trials.items()}
