"""What makes the numbers of an arm invalid: a store that was changed, a broken invariant, missing trials,
unequal work, seeds that repeat each other, or results that are too good to be true.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.analysis.frames import RunFrames
from harness.analysis.results import ParityRow
from harness.analysis.validity.peak_speed import faster_than_peak
from harness.analysis.validity.replicates import repeated_seeds
from harness.analysis.validity.work import confounds
from harness.config import canonical_json
from harness.metrics import metric
from harness.store.rows import CheckRow
from harness.study.loaded import LoadedStudy
from harness.study.planning.trials import keeps_begun_rounds
from harness.wording import count, number_text


def invalid_arms(loaded: LoadedStudy, frames: RunFrames, parity: Iterable[ParityRow]) -> dict[str, str]:
    """Each arm whose numbers do not count, with the reason.

    An invalid baseline invalidates every arm that is compared with it.
    """
    rows = tuple(parity)
    reasons = {arm.name: "; ".join(_problems(loaded, frames, arm.name, rows)) for arm in loaded.arms}
    reasons = {arm: reason for arm, reason in reasons.items() if reason}
    baseline = loaded.baseline.name
    if baseline in reasons:
        for arm in loaded.arms[1:]:
            reasons.setdefault(arm.name, f"the baseline {baseline} is invalid: {reasons[baseline]}")
    return reasons


def _problems(
    loaded: LoadedStudy, frames: RunFrames, arm: str, parity: tuple[ParityRow, ...]
) -> Iterator[str]:
    yield from _changed_store(frames)
    missing = tuple(_missing(loaded, frames, arm))
    yield from _broken(loaded, frames, arm)
    yield from missing
    if not missing:  # the work of an arm can only be compared if all of it was done
        yield from confounds(loaded, arm, parity)
    yield from repeated_seeds(loaded, frames, arm)
    yield from _faster_than_reference(loaded, frames, arm)
    yield from faster_than_peak(frames, arm)


def _changed_store(frames: RunFrames) -> Iterator[str]:
    """What was changed in the store after it was written. It makes every arm invalid: nobody knows what else
    was changed.
    """
    if frames.chain.problems:
        yield f"the store was changed after it was written: {'; '.join(frames.chain.problems)}"


def _missing(loaded: LoadedStudy, frames: RunFrames, arm: str) -> Iterator[str]:
    """Planned measurements that did not finish: what they would have shown is unknown."""
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
    if keeps_begun_rounds(loaded):  # nothing is known about these, and their pairs count so
        lost -= {(key, seed, number) for name, key, number, seed in frames.lost if name == arm}
    if lost:
        errors = (
            trial.failure
            for trial in trials
            if trial.status == "failed" and (canonical_json(trial.condition), trial.seed, trial.round) in lost
        )
        error = next(errors, None)
        yield f"{len(lost)} of {count(len(planned), 'measurement')} did not finish" + (
            f" ({error})" if error else ""
        )


def _broken(loaded: LoadedStudy, frames: RunFrames, arm: str) -> Iterator[str]:
    """Declared invariants that failed, or that were not checked completely. An invariant that failed counts
    even if the study does not declare it any more.
    """
    failing = (check.invariant for check in frames.checks if check.arm == arm and not check.passed)
    for invariant in dict.fromkeys((*loaded.study.invariants, *failing)):
        trials = [t for t in frames.trials if t.purpose == "check" and t.task == invariant and t.arm == arm]
        checks = [check for check in frames.checks if check.invariant == invariant and check.arm == arm]
        failed = [check for check in checks if not check.passed]
        finished = [trial for trial in trials if trial.status == "finished"]
        crashed = [trial for trial in trials if trial.status == "failed"]
        made = sum(trial.notes.get("checks", 0) for trial in finished)
        if failed:
            total = f" ({len(failed)} of {len(checks)} checks fail)" if len(failed) > 1 else ""
            yield f"invariant {invariant} is broken: {describe(failed[0])}{total}"
        elif crashed and not finished:
            yield f"invariant {invariant} could not be checked: {crashed[0].failure}"
        elif len(checks) < made:
            lost = made - len(checks)
            yield f"invariant {invariant}: {lost} of {count(made, 'check')} are missing in the store"
        elif not sum(check.compared for check in checks):
            yield f"invariant {invariant} compared nothing"


def describe(check: CheckRow) -> str:
    """One check in words: its case, the deviation and the tolerance."""
    text = (
        f"{check.case} in {check.precision}: deviation {check.deviation:.2g}, tolerance {check.tolerance:.2g}"
    )
    return f"{text}, {check.detail}" if check.detail else text


def _faster_than_reference(loaded: LoadedStudy, frames: RunFrames, arm: str) -> Iterator[str]:
    """Trainings of the arm, or of a model that arms share, whose loss falls below a declared reference.

    Such a model has usually seen the test set or the labels.
    """
    if not loaded.study.references:
        return
    seeds = {
        trial.id: trial.seed
        for trial in frames.trials
        if trial.arm in (arm, "") and trial.purpose in ("measure", "train")
    }
    for reference in loaded.study.references:
        curve = frames.curve(reference.metric)
        early = curve[curve["trial"].isin(list(seeds)) & (curve["step"] < reference.updates)]
        below = early[early["value"] < reference.at_least]
        if len(below):
            first = below.sort_values("step", kind="stable").iloc[0]
            yield (
                f"learns faster than its reference: {metric(reference.metric).label} is "
                f"{number_text(float(first['value']))} after {int(first['step']) + 1} updates "
                f"(seed {seeds[int(first['trial'])]}), but {reference.source} reports at least "
                f"{number_text(reference.at_least)} until update {reference.updates}"
            )
