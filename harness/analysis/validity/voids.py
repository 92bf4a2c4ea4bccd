"""Void rounds: something outside of the trials disturbed them. Their timings do not count, and other rounds
replace them. If there are too many, all timings stay, and nothing timed is decided. Nor is it if the
disturbed trials are mostly those of one arm.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from harness.analysis.frames import RunFrames
from harness.analysis.results import ALPHA
from harness.metrics import metric
from harness.statistics import MOST_VOID, holm
from harness.store.rows import TrialRow
from harness.store.void import DISTURBED, disturbed_trials, void_rounds
from harness.study.loaded import LoadedStudy
from harness.study.planning.trials import replaces_disturbed_rounds
from harness.wording import count

MOST_ROUNDS_DESCRIBED = 8
"""A warning describes this many disturbed rounds, and counts the others."""


def void_rounds_of(loaded: LoadedStudy, trials: Iterable[TrialRow]) -> frozenset[int]:
    """The numbers of the rounds whose timings do not count."""
    disturbed = _disturbed_rounds(loaded, trials)
    return frozenset() if _too_many(loaded, disturbed) else disturbed


def _disturbed_rounds(loaded: LoadedStudy, trials: Iterable[TrialRow]) -> frozenset[int]:
    return void_rounds(trials) if replaces_disturbed_rounds(loaded) else frozenset()


def _too_many(loaded: LoadedStudy, disturbed: frozenset[int]) -> bool:
    return len(disturbed) > MOST_VOID * loaded.study.design.rounds


def values_that_count(values: pd.DataFrame, void: frozenset[int]) -> pd.DataFrame:
    """The values of trials without those that void rounds measured. Everything else counts in every
    round.
    """
    if not void:
        return values
    timed = [name for name in values["metric"].unique() if metric(name).timed]
    return values[~(values["round"].isin(void) & values["metric"].isin(timed))]


def why_voids_decide_nothing(loaded: LoadedStudy, frames: RunFrames) -> str:
    """Why no timing of the study is decided: too many rounds are void, or one arm was disturbed more often
    than the others. An empty text if neither is so.

    Something that an arm causes indirectly would disturb it again and again, and leaving such rounds out
    would flatter the arm. A long trial is disturbed more easily than a short one, so the disturbed trials of
    an arm are compared with its share of the seconds (exact binomial test, 5 % with Holm's correction).
    """
    rounds = _disturbed_rounds(loaded, frames.trials)
    if _too_many(loaded, rounds):
        total, were = count(loaded.study.design.rounds, "round"), "was" if len(rounds) == 1 else "were"
        return (
            f"{len(rounds)} of {total} {were} disturbed from outside, and more than {MOST_VOID:.0%} cannot "
            "be left out"
        )
    disturbed = Counter(trial.arm for trial in disturbed_trials(frames.trials) if rounds)
    if not disturbed:
        return ""
    p_values = {
        arm: _at_least(disturbed[arm], disturbed.total(), share) for arm, share in _shares(frames).items()
    }
    for arm, p in holm(p_values).items():
        if p <= ALPHA:
            return (
                f"{disturbed[arm]} of {count(disturbed.total(), 'disturbed trial')} are of "
                f"{loaded.label(arm)} (p {p:.2g}), so the rounds that are left out may flatter an arm"
            )
    return ""


def _at_least(number: int, trials: int, share: float) -> float:
    """The probability that at least `number` of the trials are those of an arm with this share."""
    from scipy.special import bdtrc  # takes half a second, which most commands do not need

    return float(bdtrc(number - 1, trials, share)) if number else 1.0


def void_warnings(loaded: LoadedStudy, frames: RunFrames) -> Iterator[str]:
    """The disturbed rounds with their causes, and whether they count."""
    rounds = _disturbed_rounds(loaded, frames.trials)
    if not rounds:
        return
    one = len(rounds) == 1
    effect = f"and {'does' if one else 'do'} not count"
    if _too_many(loaded, rounds):
        effect = "which is too many to leave them out, so no timing is decided"
    yield (
        f"{count(len(rounds), 'round')} of {loaded.study.design.rounds} {'was' if one else 'were'} disturbed "
        f"from outside, {effect}: {_causes(disturbed_trials(frames.trials))}"
    )


def _causes(trials: Iterable[TrialRow]) -> str:
    """What disturbed each round, one cause per round: `round 3 (…), round 7 (…; 2 trials)`."""
    by_round: dict[int, list[str]] = defaultdict(list)
    for trial in trials:
        by_round[trial.round].append(str(trial.notes[DISTURBED]))
    described = [
        f"round {number} ({causes[0]}{f'; {len(causes)} trials' if len(causes) > 1 else ''})"
        for number, causes in sorted(by_round.items())
    ]
    more = len(described) - MOST_ROUNDS_DESCRIBED
    return ", ".join([*described[:MOST_ROUNDS_DESCRIBED], *([f"and {more} more"] if more > 0 else [])])


def _shares(frames: RunFrames) -> Mapping[str, float]:
    """Arm → its share of the seconds of all measurements."""
    seconds: dict[str, float] = defaultdict(float)
    for trial in frames.trials:
        if trial.purpose == "measure" and trial.status == "finished":
            seconds[trial.arm] += trial.seconds or 0.0
    total = sum(seconds.values())
    return {arm: spent / total for arm, spent in seconds.items()} if total else {}
