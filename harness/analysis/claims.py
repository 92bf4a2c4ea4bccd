"""Claims against the data: confirmed, refuted, undecided or invalid (validity.md, "Claims")."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.analysis.contrasts import Cells, IncomparableError, margin_of
from harness.analysis.frames import RunFrames
from harness.analysis.results import ClaimVerdict, Contrast, SettledClaim
from harness.analysis.validity import describe
from harness.config import canonical_json
from harness.metrics import Metric, format_bytes, metric
from harness.statistics import Trend, equivalent, paired_estimate, trend
from harness.study.arms import Combination
from harness.study.claim import Claim, FormulaClaim, HoldsClaim, RatioClaim, Scalar, TrendClaim
from harness.study.load import LoadedStudy
from harness.study.schema import level_name


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What became of a claim, before it is put together with what it says."""

    verdict: ClaimVerdict
    effect: str = "–"
    interval: str = "–"
    claimed: str = "–"
    n: int = 0
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that claims are settled on."""

    loaded: LoadedStudy
    frames: RunFrames
    cells: Cells
    contrasts: tuple[Contrast, ...]
    invalid: Mapping[str, str]


def named_contrasts(loaded: LoadedStudy) -> list[tuple[str, str, str]]:
    """(metric, arm, condition) of every contrast that a claim is about: each claim is a family of its own."""
    return [
        (
            claim.metric or loaded.study.primary,
            _arm(loaded, claim.level).name,
            canonical_json(_condition(loaded, claim.at).names),
        )
        for claim in loaded.study.claims.values()
        if isinstance(claim, RatioClaim)
    ]


def settle_claims(evidence: Evidence) -> tuple[SettledClaim, ...]:
    """Every claim of the study with its verdict, effect, interval and a sentence."""
    settled = []
    for name, claim in evidence.loaded.study.claims.items():
        finding = _settle(claim, evidence)
        settled.append(SettledClaim(id=name, source=claim.source, says=claim.says, **vars(finding)))
    return tuple(settled)


def _settle(claim: Claim, evidence: Evidence) -> Finding:
    try:
        if isinstance(claim, HoldsClaim):
            return _holds(claim, evidence)
        if isinstance(claim, FormulaClaim):
            return _formula(claim, evidence)
        arm = _arm(evidence.loaded, claim.level)
        if arm.name in evidence.invalid:
            return Finding(
                verdict="invalid", sentence=f"{arm.name} does not count: {evidence.invalid[arm.name]}."
            )
        return _ratio(claim, arm, evidence) if isinstance(claim, RatioClaim) else _trend(claim, arm, evidence)
    except IncomparableError as problem:
        return Finding(verdict="invalid", sentence=f"The data do not allow a comparison: {problem}.")


def _ratio(claim: RatioClaim, arm: Combination, evidence: Evidence) -> Finding:
    loaded = evidence.loaded
    record, condition = metric(claim.metric or loaded.study.primary), _condition(loaded, claim.at)
    contrast = next(
        c
        for c in evidence.contrasts
        if (c.metric, c.arm, c.condition) == (record.name, arm.name, condition.names)
    )
    if contrast.verdict == "invalid":
        return Finding(verdict="invalid", sentence=f"The contrast does not count: {contrast.reason}.")
    low, high = claim.ratio / claim.within, claim.ratio * claim.within
    claimed = f"{claim.ratio:g} × (region {low:.3g} to {high:.3g})"
    inside = low <= contrast.low90 and contrast.high90 <= high
    outside = contrast.high < low or contrast.low > high
    verdict: ClaimVerdict = "undecided"
    if not loaded.study.design.exploratory:
        verdict = "confirmed" if inside else "refuted" if outside else "undecided"
    where = f" at {condition.name}" if condition.name else ""
    measured = f"{record.label} of {arm.name} is {contrast.ratio:.3g} × the baseline's{where}"
    position = {
        "confirmed": f"inside the region of the claimed {claim.ratio:g} ×",
        "refuted": f"{'above' if contrast.low > high else 'below'} the region of the claimed {claim.ratio:g} ×",
        "undecided": "exploratory, so no verdict"
        if loaded.study.design.exploratory
        else "the interval straddles the border of the claimed region",
        "invalid": "",
    }[verdict]
    return Finding(
        verdict=verdict, effect=f"{contrast.ratio:.3g} ×", interval=f"{contrast.low:.3g} to {contrast.high:.3g} ×", claimed=claimed,
        n=contrast.n, sentence=f"At this scale, on this device, {measured}: {position}; {_sign(claim, contrast)}.",
    )  # fmt: skip


def _sign(claim: RatioClaim, contrast: Contrast) -> str:
    """The sub-claim of direction alone."""
    direction = "an increase" if claim.ratio > 1 else "a decrease"
    if contrast.low > 1 or contrast.high < 1:
        return f"that there is {direction} is {'confirmed' if (contrast.low > 1) == (claim.ratio > 1) else 'refuted'}"
    return f"whether there is {direction} is undecided"


def _trend(claim: TrendClaim, arm: Combination, evidence: Evidence) -> Finding:
    loaded = evidence.loaded
    record = metric(claim.metric or loaded.study.primary)
    by_level: dict[float, list[dict[int, float]]] = {}
    for condition in loaded.conditions:
        level = float(str(loaded.study.across[claim.over][condition.levels[claim.over]]))
        by_level.setdefault(level, []).append(evidence.cells.log_ratios(record.name, arm.name, condition))
    rounds = {
        number: {
            level: sum(pairs[number] for pairs in cells) / len(cells) for level, cells in by_level.items()
        }
        for number in range(1, loaded.study.design.rounds + 1)
    }
    if len(by_level) < 2:
        return Finding(verdict="undecided", sentence=f"One level of {claim.over} shows no trend.")
    sign = 1.0 if claim.trend == "increasing" else -1.0
    found = trend(
        {number: {level: sign * value for level, value in cells.items()} for number, cells in rounds.items()}
    )
    doublings = math.log2(max(by_level) / min(by_level))
    verdict = (
        "undecided"
        if loaded.study.design.exploratory
        else _trend_verdict(found, doublings, margin_of(loaded, record))
    )
    growth, low, high = (
        math.exp(sign * value)
        for value in (found.slope.estimate, found.slope.ci95.low, found.slope.ci95.high)
    )
    low, high = min(low, high), max(low, high)
    steps = ", ".join(
        f"{math.exp(_centre(cells)):.3g} × at {level:g}" for level, cells in sorted(_columns(rounds).items())
    )
    return Finding(
        verdict=verdict, effect=f"× {growth:.3g} a doubling", interval=f"× {low:.3g} to {high:.3g}", claimed=claim.trend, n=found.slope.n,
        sentence=f"At this scale, on this device, the ratio of {record.label}, {arm.name} to baseline, is {steps} {claim.over.replace('_', ' ')}.",
    )  # fmt: skip


def _trend_verdict(found: Trend, doublings: float, margin: float) -> ClaimVerdict:
    falls_somewhere = any(step.change.ci95.high < 0 for step in found.steps)
    if found.slope.ci95.low > 0 and not falls_somewhere:
        return "confirmed"
    flat = equivalent(found.slope, math.log1p(margin) / doublings)
    return "refuted" if found.slope.ci95.high < 0 or flat else "undecided"


def _columns(rounds: Mapping[int, Mapping[float, float]]) -> dict[float, list[float]]:
    levels = next(iter(rounds.values()))
    return {level: [cells[level] for cells in rounds.values()] for level in levels}


def _centre(values: list[float]) -> float:
    return paired_estimate(dict(enumerate(values))).estimate


def _holds(claim: HoldsClaim, evidence: Evidence) -> Finding:
    checks = [check for check in evidence.frames.checks if check.invariant == claim.holds]
    worst = max(
        checks, key=lambda check: check.deviation / check.tolerance if check.tolerance else 0.0, default=None
    )
    broken = {arm: reason for arm, reason in evidence.invalid.items() if claim.holds in reason}
    if worst is None or broken:
        reason = "; ".join(f"{arm}: {why}" for arm, why in broken.items()) or f"{claim.holds} was not checked"
        return Finding(verdict="invalid", sentence=f"{reason}.")
    compared = sum(check.compared for check in checks)
    same, cells = _same_outputs(evidence)
    return Finding(
        verdict="confirmed", effect=f"max deviation {worst.deviation:.2g}", interval=f"tolerance {worst.tolerance:.0e}",
        claimed="no difference", n=len(checks),
        sentence=f"{claim.holds} holds in all {len(checks)} checks ({compared:,} comparisons, worst: {describe(worst)}); "
        f"outputs are identical to the baseline's in {same} of {cells} trials.",
    )  # fmt: skip


def _same_outputs(evidence: Evidence) -> tuple[int, int]:
    """Of the trials of arms other than the baseline, how many gave bit for bit what the baseline gave."""
    baseline, same, total = evidence.loaded.baseline.name, 0, 0
    measured = [
        trial for trial in evidence.frames.trials if trial.purpose == "measure" and trial.status == "finished"
    ]
    reference = {
        (canonical_json(t.condition), t.seed, t.round): t.outputs for t in measured if t.arm == baseline
    }
    for trial in measured:
        if trial.arm != baseline:
            total += 1
            same += trial.outputs == reference.get((canonical_json(trial.condition), trial.seed, trial.round))
    return same, total


def _formula(claim: FormulaClaim, evidence: Evidence) -> Finding:
    loaded, record = evidence.loaded, metric(claim.metric)
    if evidence.invalid:
        reason = "; ".join(f"{arm}: {why}" for arm, why in evidence.invalid.items())
        return Finding(verdict="invalid", sentence=f"Not every arm counts: {reason}.")
    measured, predicted = (_by_cell(evidence.cells, loaded, name) for name in (claim.metric, claim.formula))
    compared = {
        cell: (measured[cell], predicted[cell]) for cell in measured if measured[cell] or predicted[cell]
    }
    if not compared:
        return Finding(verdict="undecided", sentence=f"{record.label} and its formula are zero everywhere.")
    off = {
        cell: abs(value - formula) / formula if formula else math.inf
        for cell, (value, formula) in compared.items()
    }
    margin, worst = margin_of(loaded, record), max(off, key=lambda cell: off[cell])
    grid = _grid(claim.also_holds, evidence)
    return Finding(
        verdict="confirmed" if off[worst] <= margin else "refuted",
        effect=f"largest difference {off[worst]:.2%}", interval="counted exactly", claimed=claim.formula.replace("_", " "), n=len(compared),
        sentence=f"{record.label} equals the closed form in {sum(value <= margin for value in off.values())} of {len(off)} trials, "
        f"from {_shown(record, min(v for v, _ in compared.values()))} to {_shown(record, max(v for v, _ in compared.values()))}{grid}.",
    )  # fmt: skip


def _grid(invariant: str | None, evidence: Evidence) -> str:
    checks = [check for check in evidence.frames.checks if check.invariant == invariant]
    return f"; {invariant} holds in {sum(check.compared for check in checks)} further cases" if checks else ""


def _shown(record: Metric, value: float) -> str:
    return format_bytes(value) if record.unit == "B" else record.format(value)


def _by_cell(cells: Cells, loaded: LoadedStudy, name: str) -> dict[tuple[str, str, int], float]:
    return {
        (arm.name, condition.name, number): value
        for arm in loaded.arms
        for condition in loaded.conditions
        for number, value in cells.rounds(name, arm.name, condition).items()
    }


def _arm(loaded: LoadedStudy, levels: Mapping[str, Scalar]) -> Combination:
    names = {**loaded.baseline.names, **{factor: level_name(level) for factor, level in levels.items()}}
    return next(arm for arm in loaded.arms if arm.names == names)


def _condition(loaded: LoadedStudy, levels: Mapping[str, Scalar]) -> Combination:
    names: Iterable[tuple[str, str]] = [(factor, level_name(level)) for factor, level in levels.items()]
    return next(
        condition for condition in loaded.conditions if all(condition.names[f] == name for f, name in names)
    )
