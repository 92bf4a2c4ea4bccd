"""Void rounds: timings that something outside of the trials disturbed. They do not count, and other rounds
replace them. If there are too many, or if they are mostly those of one arm, nothing timed is decided.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from harness.analysis.frames import RunFrames
from harness.metrics import metric
from harness.statistics import MOST_VOID, holm
from harness.store.rows import TrialRow
from harness.store.void import DISTURBED, disturbed_trials, void_rounds
from harness.study.loaded import LoadedStudy
from harness.study.planning.trials import replaces_disturbed_rounds
from harness.wording import count

CLUSTER_ALPHA = 0.05


def void_rounds_of(loaded: LoadedStudy, trials: Iterable[TrialRow]) -> frozenset[int]:
    """The numbers of the rounds whose timings do not count."""
    return void_rounds(trials) if replaces_disturbed_rounds(loaded) else frozenset()


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
    void, rounds = void_rounds_of(loaded, frames.trials), loaded.study.design.rounds
    if len(void) > MOST_VOID * rounds:
        return (
            f"{len(void)} of {count(rounds, 'round')} were disturbed from outside, and more than "
            f"{MOST_VOID:.0%} cannot be left out"
        )
    disturbed = Counter(trial.arm for trial in disturbed_trials(frames.trials)) if void else Counter()
    if not disturbed:
        return ""
    p_values = {
        arm: _at_least(disturbed[arm], disturbed.total(), share) for arm, share in _shares(frames).items()
    }
    for arm, p in holm(p_values).items():
        if p <= CLUSTER_ALPHA:
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
    """The rounds that do not count, with the first cause."""
    void = void_rounds_of(loaded, frames.trials)
    if not void:
        return
    disturbed = disturbed_trials(frames.trials)
    yield (
        f"{count(len(void), 'round')} of {loaded.study.design.rounds} "
        f"{'was' if len(void) == 1 else 'were'} disturbed from outside and "
        f"{'does' if len(void) == 1 else 'do'} not count; {count(len(disturbed), 'trial')}, in the first "
        f"{disturbed[0].notes[DISTURBED]}"
    )


def _shares(frames: RunFrames) -> Mapping[str, float]:
    """Arm → its share of the seconds of all measurements."""
    seconds: dict[str, float] = defaultdict(float)
    for trial in frames.trials:
        if trial.purpose == "measure" and trial.status == "finished":
            seconds[trial.arm] += trial.seconds or 0.0
    total = sum(seconds.values())
    return {arm: spent / total for arm, spent in seconds.items()} if total else {}
