"""How long the trials that are left take, judged by those of the same kind that have ended."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from pydantic import ValidationError

from harness.errors import InputError
from harness.experiment.inside_trial import LastValue
from harness.run.resources import guessed_seconds
from harness.trial.spec import TrialSpec
from harness.wording import precise_text

Kind = tuple[str, str, str, str, str]
"""Trials with equal kinds take equally long: part, purpose, task, arm and condition."""

SCATTER = 0.2
"""The relative scatter of trials of a kind of which only one has ended."""
WITHIN, BEYOND = 3.0, 1.5
"""The factors within which operation counts give the time: alone, and corrected by trials that have ended."""
DEVIATIONS = 2.0
"""The ends of the range are so many standard deviations away from its middle."""

_STEPS = (1, 2, 5, 10, 15, 20, 30)
_MANY = 3
"""A time is written with steps that are at most a third of the width of its range."""


class TimeRange(NamedTuple):
    """Seconds, which are probably between `low` and `high`."""

    low: float
    high: float

    def __str__(self) -> str:
        """`12 to 15 min left`, `about 40 s left`, `at most 2 h left`."""
        factor, unit = next((size, name) for size, name in _UNITS if self.high >= size * 1.5 or size == 1.0)
        low, high = self.low / factor, self.high / factor
        step = _step(high - low, fine=unit == "h")
        below, above = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
        if below <= 0:
            return f"at most {precise_text(max(above, step))} {unit} left"
        if below == above:
            return f"about {precise_text(above)} {unit} left"
        return f"{precise_text(below)} to {precise_text(above)} {unit} left"


class Current(NamedTuple):
    """The trial that runs: for how long it has run, and how long it takes if it goes on like this."""

    kind: Kind
    seconds: float
    expected: float | None = None


_UNITS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))


def _step(width: float, *, fine: bool) -> float:
    steps = (0.1, 0.5, *_STEPS) if fine else _STEPS
    return next((step for step in reversed(steps) if step <= width / _MANY), steps[0])


class TimeLeft:
    """Learns from the trials that end how long the others take."""

    def __init__(self) -> None:
        self._seconds: dict[Kind, list[float]] = defaultdict(list)
        self._guesses: dict[Kind, float | None] = {}
        self._left: Counter[Kind] = Counter()
        self._unknown: Counter[str] = Counter()
        self._at_once: dict[tuple[str, str], int] = {}

    def expect(
        self,
        part: str,
        trials: Iterable[TrialSpec],
        unknown: int = 0,
        at_once: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """From now on, these trials are left of a part, and a number of which nothing is known yet. So many
        trials of each purpose run at the same time, by default one.
        """
        self._at_once |= {(part, purpose): number for purpose, number in at_once.items()}
        for kind in [kind for kind in self._left if kind[0] == part]:
            del self._left[kind]
        self._unknown[part] = unknown
        for spec in trials:
            kind = kind_of(part, spec)
            self._left[kind] += 1
            if kind not in self._guesses:
                guess = _guess(spec)
                self._guesses[kind] = None if guess is None else guess / self.at_once(kind)

    def at_once(self, kind: Kind) -> int:
        """How many trials of this kind run at the same time."""
        return self._at_once.get(kind[:2], 1)

    def learn(self, kind: Kind, seconds: float) -> None:
        """A trial of this kind took so long."""
        self._seconds[kind].append(seconds / self.at_once(kind))

    def done(self, part: str, spec: TrialSpec) -> None:
        """A trial that was expected has ended."""
        kind = kind_of(part, spec)
        if self._left[kind]:
            self._left[kind] -= 1
        elif self._unknown[part]:
            self._unknown[part] -= 1

    def seconds_left(self, current: Current | None = None) -> TimeRange | None:
        """The time that the expected trials take, of which the current one has run for a while. None if
        nothing is left, or if nothing can be said.
        """
        left, seconds = Counter(self._left), {kind: tuple(known) for kind, known in self._seconds.items()}
        unknown = self._unknown.total()
        if current is None:
            return self._range(left, unknown, seconds)
        kind = current.kind
        if current.expected is not None and kind not in seconds:
            seconds[kind] = (current.expected,)
        this = self._range(Counter([kind]), 0, seconds) or TimeRange(0.0, 0.0)
        if left[kind]:
            left[kind] -= 1
        elif unknown:
            unknown -= 1
        others = self._range(left, unknown, seconds)
        if others is None and (left.total() or unknown):
            return None
        low, high = others or (0.0, 0.0)
        ran = current.seconds
        return TimeRange(low + max(0.0, this.low - ran), high + max(0.0, this.high - ran))

    def _range(
        self, left: Counter[Kind], unknown: int, seconds: Mapping[Kind, Sequence[float]]
    ) -> TimeRange | None:
        """The time of so many trials of these kinds, and of `unknown` ones, by the `seconds` of others."""
        known, variance, low, high = 0.0, 0.0, 0.0, 0.0
        correction, factor = self._correction(seconds)
        for kind, number in left.items():
            if not number:
                continue
            if measured := seconds.get(kind):
                known += number * statistics.fmean(measured)
                variance += _scatter(measured) ** 2 * (number + number**2 / len(measured))
            elif guess := self._guesses.get(kind):
                low += number * guess * correction / factor
                high += number * guess * correction * factor
            else:
                unknown += number
        if unknown:
            everything = [one for measured in seconds.values() for one in measured]
            if not everything:
                return None
            known += unknown * statistics.fmean(everything)
            variance += _scatter(everything) ** 2 * (unknown + unknown**2 / len(everything))
        if not known + high:
            return None
        width = DEVIATIONS * math.sqrt(variance)
        return TimeRange(max(0.0, known - width) + low, known + width + high)

    def _correction(self, measured: Mapping[Kind, Sequence[float]]) -> tuple[float, float]:
        """What operation counts must be multiplied by, and the factor within which they are then right."""
        ratios = [
            statistics.fmean(seconds) / guess
            for kind, seconds in measured.items()
            if (guess := self._guesses.get(kind))
        ]
        return (statistics.median(ratios), BEYOND) if ratios else (1.0, WITHIN)


def _guess(spec: TrialSpec) -> float | None:
    """The time by operation counts. None for a trial that the code of today cannot read."""
    try:
        return guessed_seconds(spec)
    except (InputError, ValidationError):
        return None


def _scatter(seconds: Sequence[float]) -> float:
    if len(seconds) == 1:
        return SCATTER * seconds[0]
    return statistics.stdev(seconds)


def kind_of(part: str, spec: TrialSpec) -> Kind:
    return part, spec.purpose, spec.task, spec.arm, spec.condition_key


def current_trial(kind: Kind, seconds: float, reached: LastValue | None) -> Current:
    """The trial that runs, whose last samples say how far it is."""
    share = reached.share if reached else None
    return Current(kind, seconds, seconds / share if share else None)
