"""How the form `reaches` is settled."""

from __future__ import annotations

import math
from functools import cached_property
from itertools import accumulate

from harness.analysis.claims.arms import ArmResult, ComparisonSettlement
from harness.analysis.claims.direction import Direction
from harness.analysis.member import Member
from harness.analysis.results import ALPHA, ClaimAxis, ClaimVerdict, Numbers
from harness.analysis.trial_table import IncomparableError
from harness.metrics import RATIO_UNIT, Metric, metric
from harness.statistics import both_infinite, log_ratios, safe_exp, sign_flip_p, time_to_target
from harness.store.rows import TrialRow
from harness.study.arms import Combination, named_condition
from harness.study.claims.reaches import ReachesClaim
from harness.wording import count, interval_text, ratio_text

UPDATE_SECONDS = "update_seconds"


class ReachesSettlement(ComparisonSettlement[ReachesClaim]):
    """`Direction` decides, on one ratio of times to the target per seed.

    A training that misses the target takes infinitely long and ranks last; two that miss it tie. Seconds are
    timings: each round must be of one session. The margin is that of time, also where updates are counted.
    """

    @property
    def claimed(self) -> str:
        return f"{self.claim.when} at {metric(self.claim.metric).label} {self.claim.target:g}"

    @property
    def rule(self) -> Direction:
        return Direction(side=-1 if self.claim.when == "sooner" else 1, margin=math.log1p(self.margin))

    @property
    def clock(self) -> Metric | None:
        """The metric of time, if time is what the claim counts."""
        return metric(UPDATE_SECONDS) if self.claim.counted_in == "seconds" else None

    @property
    def margin(self) -> float:
        return self.loaded.study.margin(metric(UPDATE_SECONDS))

    @cached_property
    def condition(self) -> Combination:
        return named_condition(self.loaded.conditions, self.claim.at)

    def result(self, arm: Combination) -> ArmResult:
        claim, condition, label = self.claim, self.condition, self.loaded.label(arm.name)
        times, other_times = self._times(arm), self._times(self.other)
        if self.clock:
            self.evidence.cells.check_rounds(self.clock, arm.name, self.other.name, condition)
        reached, other_reached = (sum(map(math.isfinite, side.values())) for side in (times, other_times))
        ratios = log_ratios(times, other_times)
        member = Member(
            metric=f"{claim.counted_in} to {claim.metric} {claim.target:g}",
            arm=arm.name,
            against=self.other.name,
            condition=condition.names,
            pairs=tuple(sorted(ratios.items())),
            unknown=both_infinite(times, other_times),
            p_sign_flip=sign_flip_p(ratios),
        )
        bounds = member.interval(self.level, ties=True)
        ratio, low, high = (safe_exp(x) for x in (member.centre, bounds.low, bounds.high))
        interval = interval_text(low, high)
        return ArmResult(
            member=member,
            label=label,
            effect=ratio_text(ratio),
            interval=interval,
            measured=f"{label}{self.loaded.at(condition.names)} needs {ratio_text(ratio)} "
            f"{self.other_label}'s {claim.counted_in} to reach a "
            f"{metric(claim.metric).label} of {claim.target:g} "
            f"({self.level_text} interval {interval}, "
            f"{count(member.n, 'seed')}; it reaches the target on {reached} of "
            f"them, and {self.other_label} does on {other_reached})",
            numbers=Numbers(effect=ratio, low=low, high=high, unit=RATIO_UNIT),
            axis=ClaimAxis(
                compared_by="ratios",
                quantity=f"{claim.counted_in} to a {metric(claim.metric).label} of {claim.target:g}",
                margin=self.margin,
            ),
            lost="neither arm reaches the target on any seed" if member.lost else "",
        )

    def position(self, result: ArmResult, verdict: ClaimVerdict) -> str:
        if verdict == "confirmed":
            return f"{self.claim.when}, as claimed"
        if verdict == "undecided":
            small = 0 < abs(result.member.centre) <= self.rule.margin
            limit = f"the difference is not larger than the margin of {self.margin:.2g}"
            return limit if small else "the interval includes equal times"
        if result.member.same(self.rule.margin) <= ALPHA:
            return f"equally soon, within the margin of {self.margin:.2g}"
        return f"{'later' if self.claim.when == 'sooner' else 'sooner'}, the opposite of the claim"

    def _times(self, arm: Combination) -> dict[int, float]:
        """Seed → updates or seconds to the target, the geometric mean of several rounds."""
        self.evidence.cells.check_held_out(metric(self.claim.metric), arm.name, self.condition)
        trials = self.evidence.trials(arm, self.condition)
        times = {seed: [self._time(arm, trial) for trial in rows] for seed, rows in trials.items()}
        return {seed: safe_exp(sum(map(math.log, row)) / len(row)) for seed, row in times.items()}

    def _time(self, arm: Combination, trial: TrialRow) -> float:
        if trial.notes.get("diverged"):
            return math.inf
        steps, losses = self._samples(self.claim.metric, trial)
        spent = {step: float(step + 1) for step in steps}
        if self.clock:
            updates, seconds = self._samples(UPDATE_SECONDS, trial)
            spent = dict(zip(updates, accumulate(seconds), strict=True))
        if not losses or not set(steps) <= set(spent):
            label = metric(self.claim.metric).label
            raise IncomparableError(f"a training of {arm.name} has no {label} over {self.claim.counted_in}")
        times = [spent[step] for step in steps]
        try:
            return time_to_target(times, losses, self.claim.target, window=self.claim.smoothed)
        except ValueError as error:
            raise IncomparableError(f"a training of {arm.name}: {error}") from None

    def _samples(self, name: str, trial: TrialRow) -> tuple[list[int], list[float]]:
        """The steps and the values of a metric in a trial."""
        curve = self.evidence.frames.curve(name)
        begin, end = curve["trial"].searchsorted([trial.id, trial.id + 1])
        samples = curve.iloc[begin:end]
        return samples["step"].tolist(), samples["value"].tolist()
