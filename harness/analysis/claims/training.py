"""Claims on what becomes of trainings: how soon they reach a loss, and whether they diverge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from harness.analysis.claims.evidence import Evidence, Finding
from harness.analysis.claims.settle import Told, other_name, refused, settle, sides, why_open
from harness.analysis.results import ClaimVerdict, Numbers
from harness.analysis.rules import ALPHA, Direction, Discordant, Member
from harness.analysis.trial_table import IncomparableError
from harness.config import canonical_json
from harness.metrics import metric
from harness.statistics import log_ratios, safe_exp, sign_flip_p, time_to_target
from harness.study.arms import Combination, named_condition
from harness.study.claim import DivergesClaim, ReachesClaim
from harness.wording import at_condition, count, interval_text, ratio_text

if TYPE_CHECKING:
    from harness.store.rows import TrialRow

UPDATE_SECONDS = "update_seconds"


def settle_reaches(claim: ReachesClaim, evidence: Evidence) -> Finding:
    """Time to a target: one a seed, a miss is infinite and ranks last, two misses tie; undecided where nobody
    gets there.

    Seconds are timings: each round must be of one session, and the margin is that for time. Updates are
    counted, and of counts every one matters. Raises IncomparableError.
    """
    claimed = f"{claim.when} at {metric(claim.metric).label} {claim.target:g}"
    invalid = refused(claim, evidence, claimed)
    if invalid:
        return invalid
    condition = named_condition(evidence.loaded.conditions, claim.at)
    seconds = metric(UPDATE_SECONDS) if claim.counted_in == "seconds" else None
    margin = evidence.loaded.study.margin(seconds) if seconds else 0.0
    rule = Direction(side=-1 if claim.when == "sooner" else 1, margin=math.log1p(margin))
    told = []
    for arm, other in sides(claim, evidence):
        first, second = (_times(claim, each, condition, evidence) for each in (arm, other))
        if seconds:
            evidence.cells.check_rounds(seconds, arm.name, other.name, condition)
        there = [sum(math.isfinite(value) for value in times_.values()) for times_ in (first, second)]
        ratios = log_ratios(first, second)
        member = Member(
            metric=f"{claim.counted_in} to {claim.metric} {claim.target:g}",
            arm=arm.name,
            against=other.name,
            condition=condition.names,
            pairs=tuple(sorted(ratios.items())),
            lost=not any(there),
            p_sign_flip=sign_flip_p(ratios),
        )
        found = member.estimate
        ratio, low, high = (safe_exp(value) for value in (found.estimate, found.ci95.low, found.ci95.high))
        measured = (
            f"{evidence.loaded.label(arm.name)}{at_condition(condition.names)} takes {ratio_text(ratio)} {other_name(other, evidence)} {claim.counted_in} to a "
            f"{metric(claim.metric).label} of {claim.target:g} (95 % interval {interval_text(low, high)}, "
            f"{count(found.n, 'seed')}; it gets there on {there[0]} of them, the other on {there[1]})"
        )
        numbers = Numbers(effect=ratio, low=low, high=high)
        told.append(
            Told(
                member=member,
                label=evidence.loaded.label(arm.name),
                effect=ratio_text(ratio),
                interval=interval_text(low, high),
                measured=measured,
                numbers=numbers,
                lost="neither gets there on any seed" if member.lost else "",
            )
        )

    def position(each: Told, verdict: ClaimVerdict) -> str:
        if verdict == "confirmed":
            return f"{claim.when}, as claimed"
        if verdict == "refuted":
            if each.member.same(rule.margin) <= ALPHA:
                return f"as soon, within the margin of {margin:.2g}" if margin else "as soon"
            return f"{'later' if claim.when == 'sooner' else 'sooner'}, the opposite of what is claimed"
        return "the interval includes no difference"

    return settle(claim, rule, told, claimed, position, why_open(claim, evidence))


def _times(
    claim: ReachesClaim, arm: Combination, condition: Combination, evidence: Evidence
) -> dict[int, float]:
    """Seed → updates or seconds to the target; of several rounds the geometric mean.

    Raises IncomparableError.
    """
    found: dict[int, list[float]] = {}
    samples = evidence.frames.samples
    for trial in _trials(arm, condition, evidence):
        rows = samples[samples["trial"] == trial.id].sort_values("step", kind="stable")
        curve = rows[rows["metric"] == claim.metric]
        losses, steps = curve["value"].tolist(), curve["step"].tolist()
        updates = {step: float(step + 1) for step in steps}
        if claim.counted_in == "seconds":
            spent = rows[rows["metric"] == UPDATE_SECONDS]
            updates = dict(zip(spent["step"].tolist(), accumulate(spent["value"].tolist()), strict=True))
        if trial.notes.get("diverged"):
            found.setdefault(trial.seed, []).append(math.inf)
            continue
        if not losses or not set(steps) <= set(updates):
            raise IncomparableError(
                f"a training of {arm.name} has no {metric(claim.metric).label} over {claim.counted_in}"
            )
        try:
            reached = time_to_target(
                [updates[step] for step in steps], losses, claim.target, window=claim.smoothed
            )
        except ValueError as error:
            raise IncomparableError(f"a training of {arm.name}: {error}") from None
        found.setdefault(trial.seed, []).append(reached)
    _whole(found, arm, evidence)
    return {seed: safe_exp(sum(map(math.log, values)) / len(values)) for seed, values in found.items()}


def settle_diverges(claim: DivergesClaim, evidence: Evidence) -> Finding:
    """Paired seeds by McNemar's exact test. Raises IncomparableError where a seed is missing."""
    claimed = f"diverges {claim.diverges} often"
    invalid = refused(claim, evidence, claimed)
    if invalid:
        return invalid
    condition = named_condition(evidence.loaded.conditions, claim.at)
    told = []
    for arm, other in sides(claim, evidence):
        first, second = (_diverged(each, condition, evidence) for each in (arm, other))
        lost, base, n = sum(first.values()), sum(second.values()), len(first)
        member = Member(
            metric="divergence",
            arm=arm.name,
            against=other.name,
            condition=condition.names,
            pairs=tuple((seed, float(first[seed]) - float(second[seed])) for seed in sorted(first)),
        )
        p = min(Discordant(side=side).tests(member).confirm for side in (1, -1))
        measured = (
            f"{evidence.loaded.label(arm.name)}{at_condition(condition.names)} diverges on {lost} of {count(n, 'seed')}, "
            f"{'the baseline' if other is evidence.loaded.baseline else evidence.loaded.label(other.name)} on {base} (McNemar's exact p {p:.2g})"
        )
        told.append(
            Told(
                member=member,
                label=evidence.loaded.label(arm.name),
                effect=f"{lost} against {base} of {count(n, 'seed')}",
                interval=f"p {p:.2g}",
                measured=measured,
                numbers=Numbers(effect=(lost - base) / n),
            )
        )
    opposite = "more" if claim.diverges == "less" else "less"
    words = {
        "confirmed": f"{claim.diverges} often, as claimed",
        "refuted": f"{opposite} often, the opposite of what is claimed",
        "undecided": "the seeds that differ are too few to tell",
    }
    rule = Discordant(side=-1 if claim.diverges == "less" else 1)
    return settle(claim, rule, told, claimed, lambda _, verdict: words[verdict], why_open(claim, evidence))


def _diverged(arm: Combination, condition: Combination, evidence: Evidence) -> dict[int, bool]:
    """Seed → whether the training diverged, in any round of it."""
    found: dict[int, list[bool]] = {}
    for trial in _trials(arm, condition, evidence):
        found.setdefault(trial.seed, []).append(bool(trial.notes.get("diverged")))
    _whole(found, arm, evidence)
    return {seed: any(values) for seed, values in found.items()}


def _trials(arm: Combination, condition: Combination, evidence: Evidence) -> list[TrialRow]:
    place = canonical_json(condition.names)
    return [
        trial
        for trial in evidence.frames.trials
        if trial.purpose == "measure"
        and trial.status == "finished"
        and (trial.arm, canonical_json(trial.condition)) == (arm.name, place)
    ]


def _whole(found: Mapping[int, Sequence[object]], arm: Combination, evidence: Evidence) -> None:
    design = evidence.loaded.study.design
    if {seed: len(values) for seed, values in found.items()} != dict.fromkeys(
        range(design.seeds), design.rounds
    ):
        raise IncomparableError(f"not every seed of {arm.name} is there once a round")
