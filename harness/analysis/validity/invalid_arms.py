"""What makes an arm not count: a broken invariant, work that does not match, trials that are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.analysis.frames import RunFrames
from harness.analysis.results import CheckRow, ParityRow
from harness.analysis.validity.impossible import impossibly_fast
from harness.analysis.validity.references import too_fast
from harness.analysis.validity.work import confounds
from harness.config import canonical_json
from harness.study.loaded import LoadedStudy
from harness.wording import count


def invalid_arms(loaded: LoadedStudy, frames: RunFrames, parity: Iterable[ParityRow]) -> dict[str, str]:
    """Each arm that does not count, with the reason.

    An invalid baseline invalidates every arm that is compared with it.
    """
    reasons: dict[str, str] = {}
    rows = tuple(parity)
    for arm in loaded.arms:
        missing = tuple(_missing(loaded, frames, arm.name))
        differing = () if missing else tuple(confounds(arm.name, rows))
        found = (
            *_broken(loaded, frames, arm.name),
            *missing,
            *differing,
            *too_fast(loaded, frames, arm.name),
            *impossibly_fast(frames, arm.name),
        )
        if found:
            reasons[arm.name] = "; ".join(found)
    baseline = loaded.baseline.name
    if baseline in reasons:
        for arm in loaded.arms[1:]:
            reasons.setdefault(arm.name, f"the baseline {baseline} does not count: {reasons[baseline]}")
    return reasons


def _missing(loaded: LoadedStudy, frames: RunFrames, arm: str) -> Iterator[str]:
    """Every planned measurement must have finished: what a lost one would have shown is not known."""
    design = loaded.study.design
    trials = [trial for trial in frames.trials if trial.purpose == "measure" and trial.arm == arm]
    finished = {(canonical_json(t.condition), t.seed, t.round) for t in trials if t.status == "finished"}
    planned = {
        (canonical_json(condition.names), seed, number)
        for condition in loaded.conditions
        for seed in range(design.seeds)
        for number in range(1, design.rounds + 1)
    }
    lost = planned - finished
    if lost:
        errors = (
            trial.error
            for trial in trials
            if trial.status == "failed" and (canonical_json(trial.condition), trial.seed, trial.round) in lost
        )
        error = next(errors, None)
        yield f"{len(lost)} of {count(len(planned), 'measurement')} did not finish" + (
            f" ({error})" if error else ""
        )


def _broken(loaded: LoadedStudy, frames: RunFrames, arm: str) -> Iterator[str]:
    for invariant in loaded.study.invariants:
        trials = [t for t in frames.trials if t.purpose == "check" and t.task == invariant and t.arm == arm]
        checks = [check for check in frames.checks if check.invariant == invariant and check.arm == arm]
        failed = [check for check in checks if not check.passed]
        made = sum(trial.notes.get("checks", 0) for trial in trials if trial.status == "finished")
        if failed:
            yield f"invariant {invariant} is broken: {describe(failed[0])}" + (
                f" ({len(failed)} of {len(checks)} checks fail)" if len(failed) > 1 else ""
            )
        elif any(trial.status == "failed" for trial in trials) and not any(
            t.status == "finished" for t in trials
        ):
            yield f"invariant {invariant} could not be checked: {next(t.error for t in trials if t.status == 'failed')}"
        elif len(checks) < made:
            yield f"invariant {invariant} lacks {made - len(checks)} of the {count(made, 'check')} that were made"
        elif not sum(check.compared for check in checks):
            yield f"invariant {invariant} has compared nothing"


def describe(check: CheckRow) -> str:
    """One check in words: where, how far off, how far it may be."""
    text = (
        f"{check.case} in {check.precision}: deviation {check.deviation:.2g}, tolerance {check.tolerance:.2g}"
    )
    return f"{text}, {check.detail}" if check.detail else text
