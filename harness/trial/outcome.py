"""The protocol between a worker and its driver: events as lines of JSON, and the outcome that they give.

A worker writes `started`, any number of `sample` and `check`, `sentences` at most once, then `finished` or
`failed`. A file that ends without one of the last two comes from a worker that died. A line that is not an
event fails the trial, whatever follows it.
"""

from __future__ import annotations

import json
import operator
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TextIO

from harness.errors import InputError
from harness.invariants.base import Check
from harness.metrics import ENERGY_METRICS
from harness.scoring.sentences import Sentences
from harness.tasks.work import Work
from harness.trial.causes import Cause

Status = Literal["finished", "failed", "lost", "interrupted"]
"""A trial that `failed` has itself to blame, a `lost` one has an outside cause, and the driver stopped an
`interrupted` one on purpose.
"""

STOPPED = "stopped"
"""The note of an interrupted trial that says why the driver stopped it."""

TIMED = "timed"
"""The note of a trial that says when its timed work ran and on how many `tokens`. A worker notes `begin` and
`end` in seconds of `time.monotonic`.
"""

NOT_TIMED = "not_timed"
"""The note of a trial that says why it has no times."""

NODE = "node"
"""The note of a trial that ran on another machine than its driver: the host, its processor and the GPU."""

LONGEST_METRIC = 200
LONGEST_LINE = 256 * 2**20
"""Bytes of a line of events. The longest lines hold the sentences of a trial."""
MOST_TEXT = 100_000
"""Characters of an error or of a traceback. Of a longer text, the end is kept."""

_LARGEST_STEP = 2**63 - 1
_SHOWN = 60
_PIECE = 2**20


class Sample(NamedTuple):
    """One raw value. `step` counts the repeated units of a trial (updates, generations) from 0."""

    metric: str
    step: int
    value: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a trial: raw samples, checks of invariants, hashes of its outputs, and the work that it
    did.

    `spent` counts the work (updates, tokens, parameters) and says what it was measured on
    (`harness.tasks.work`). It must be equal for all arms, unless the study declares a difference. `cause`
    names the kind of `error`. There may be millions of `samples`, which then are in a file.
    """

    status: Status
    samples: Collection[Sample] = ()
    checks: tuple[Check, ...] = ()
    outputs: dict[str, str] = field(default_factory=dict)
    spent: Work = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    sentences: Sentences | None = None
    error: str | None = None
    traceback: str | None = None
    cause: Cause | None = None


class EventWriter:
    """The worker's side. Each line is flushed, so that a killed worker loses at most one line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last_steps: dict[str, int] = {}
        self._names: dict[str, str] = {}

    def started(self, trial: str, pid: int) -> None:
        self._write({"event": "started", "trial": trial, "pid": pid})

    def sample(self, metric: str, value: float, step: int = 0) -> None:
        """Write one raw value. NaN and infinities are written too, because divergence is data.

        Raises ValueError if `metric` cannot be the name of a metric, or if the metric already has a value at
        this step or at a later one.
        """
        value, step = float(value), operator.index(step)
        name = self._names.get(metric)
        if name is None:
            if problem := _problem_of_name(metric):
                raise ValueError(problem)
            name = self._names[metric] = json.dumps(metric)
        if problem := _problem_of_step(metric, step, self._last_steps):
            raise ValueError(problem)
        number = repr(value) if value - value == 0.0 else json.dumps(value)
        self._stream.write(f'{{"event":"sample","metric":{name},"step":{step},"value":{number}}}\n')
        self._stream.flush()

    def check(self, check: Check) -> None:
        self._write({"event": "check", **asdict(check)})

    def sentences(self, sentences: Sentences) -> None:
        self._write({"event": "sentences", **sentences.plain()})

    def finished(self, *, outputs: dict[str, str], spent: Work, notes: dict[str, Any]) -> None:
        self._write({"event": "finished", "outputs": outputs, "spent": spent, "notes": notes})

    def failed(self, error: str, traceback: str, cause: Cause = Cause.ERROR) -> None:
        event = {"event": "failed", "error": error[-MOST_TEXT:], "traceback": traceback[-MOST_TEXT:]}
        self._write({**event, "cause": cause})

    def _write(self, event: dict[str, Any]) -> None:
        self._stream.write(json.dumps(event) + "\n")
        self._stream.flush()


def _problem_of_name(metric: object) -> str | None:
    if not isinstance(metric, str) or not metric.isprintable():  # surrogates are not printable either
        return "the name of a metric is not printable text"
    if not 0 < len(metric) <= LONGEST_METRIC:
        return f"the name of a metric has {len(metric):,} characters; 1 to {LONGEST_METRIC} are allowed"
    if metric in ENERGY_METRICS:
        return f"the driver measures {metric}, so a trial cannot"
    return None


def _problem_of_step(metric: str, step: int, last_steps: dict[str, int]) -> str | None:
    """Why the metric cannot have a value at this step. If it can, the step becomes its last one."""
    last = last_steps.get(metric, -1)
    if last < step <= _LARGEST_STEP:
        last_steps[metric] = step
        return None
    if step == last:
        return f"there are two values of {metric!r} at step {step}"
    if step < last:
        return f"a value of {metric!r} at step {step} comes after one at step {last}; steps must increase"
    return f"a value of {metric!r} has a step that is not allowed"


class EventSamples(Collection[Sample]):
    """The samples in a file of events. The file has been removed from its folder: it exists as long as this
    object does, whatever happens to the driver.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._count = descriptor, 0

    def count(self, _: Sample) -> None:
        """One more sample in the file can be read."""
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Sample]:
        """All samples in the order in which they were written. They are read in pieces."""
        left = self._count
        for line in _lines(self._descriptor):
            if not left:
                return
            event = json.loads(line)
            if event["event"] == "sample":
                left -= 1
                yield Sample(event["metric"], event["step"], float(event["value"]))

    def __contains__(self, sample: object) -> bool:
        return any(sample == known for known in self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process gets a copy of the file, with the same samples."""
        return _samples_in, (b"".join(_lines(self._descriptor)), self._count)

    def __del__(self) -> None:
        os.close(self._descriptor)


def _samples_in(events: bytes, count: int) -> EventSamples:
    """The samples in a copy of a file of events."""
    with tempfile.TemporaryFile() as file:
        file.write(events)
        file.flush()
        samples = EventSamples(os.dup(file.fileno()))
    samples._count = count
    return samples


def samples_of(lines: Iterable[bytes]) -> list[Sample]:
    """The samples among complete lines of events. Lines that are not events are left out: they fail the trial
    when it ends.
    """
    samples: list[Sample] = []
    for line in lines:
        try:
            event = json.loads(line)
            if event["event"] == "sample":
                samples.append(Sample(event["metric"], event["step"], float(event["value"])))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            continue
    return samples


def read_events(
    lines: Iterable[bytes | str], *, died: str, cause: Cause = Cause.NO_RESULT, printed: str | None = None
) -> Outcome:
    """The outcome of a trial from its events. If they end without an outcome, `died` is the error, `cause`
    its kind, and `printed` what the trial printed last.

    A last line that is cut off is ignored, because its worker is dead.
    """
    samples: list[Sample] = []
    outcome = _read(lines, samples.append, _Death(died, cause, printed))
    return replace(outcome, samples=tuple(samples))


def read_event_file(path: Path, *, died: str, cause: Cause, printed: str | None = None) -> Outcome:
    """As `read_events`. The file is removed; its samples can be read as long as the outcome exists."""
    death = _Death(died, cause, printed)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return death.outcome()
    samples = EventSamples(descriptor)
    path.unlink(missing_ok=True)
    return replace(_read(_lines(descriptor), samples.count, death), samples=samples)


class _Death(NamedTuple):
    """How a trial ended, if its events do not say it."""

    error: str
    cause: Cause
    printed: str | None

    def outcome(self) -> Outcome:
        status: Status = "lost" if self.cause.transient else "failed"
        if self.cause is Cause.STOPPED:
            status = "interrupted"
        return Outcome(status=status, error=self.error, cause=self.cause, traceback=self.printed)


class _BrokenLineError(Exception):
    """A line of events cannot be read; the text says why."""


def _read(lines: Iterable[bytes | str], keep: Callable[[Sample], None], death: _Death) -> Outcome:
    """The outcome without its samples, which go to `keep`."""
    reading = _Reading(keep)
    for number, line in enumerate(lines, start=1):
        if line[-1:] not in ("\n", b"\n") and len(line) < LONGEST_LINE:
            break
        try:
            outcome = reading.add(line)
        except _BrokenLineError as error:
            reason = f"line {number} of its events {error}"
            failed = replace(death.outcome(), status="failed", error=reason, cause=Cause.BROKEN_EVENT)
            return reading.completed(failed)
        if outcome is not None:
            return reading.completed(outcome)
    return reading.completed(death.outcome())


class _Reading:
    """What has been read so far. Every line is checked, because a trial may write anything."""

    def __init__(self, keep: Callable[[Sample], None]) -> None:
        self._keep = keep
        self._last_steps: dict[str, int] = {}
        self._checks: list[Check] = []
        self._sentences: Sentences | None = None
        self._readers: dict[str, Callable[..., Outcome | None]] = {
            "started": lambda **_: None,
            "sample": self._sample,
            "check": self._check,
            "sentences": self._read_sentences,
            "finished": _finished,
            "failed": _failed,
        }

    def completed(self, outcome: Outcome) -> Outcome:
        sentences = self._sentences if outcome.status == "finished" else None
        return replace(outcome, checks=tuple(self._checks), sentences=sentences)

    def add(self, line: bytes | str) -> Outcome | None:
        """Take one line; returns the outcome if this line is the last one."""
        if len(line) >= LONGEST_LINE:
            raise _BrokenLineError(f"has more than {LONGEST_LINE >> 20} MiB")
        try:
            event = json.loads(line)
            kind = event.pop("event")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise _BrokenLineError(f"is not an event: {_shown(line)}") from None
        read = self._readers.get(kind) if isinstance(kind, str) else None
        if read is None:
            raise _BrokenLineError(f"is of an unknown kind: {_shown(line)}")
        try:
            return read(**event)
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError, InputError) as error:
            raise _BrokenLineError(f"is not a complete {kind}: {error}") from None

    def _sample(self, *, metric: str, step: int, value: float) -> None:
        if type(step) is not int or type(value) not in (float, int):
            raise TypeError("a sample has a whole step and a value that is a number")
        problem = metric not in self._last_steps and _problem_of_name(metric)
        if problem := problem or _problem_of_step(metric, step, self._last_steps):
            raise _BrokenLineError(f"is refused: {problem}")
        self._keep(Sample(metric, step, float(value)))

    def _check(self, **fields: Any) -> None:
        check = Check(**fields)
        texts = (check.case, check.precision, check.detail)
        counts, numbers = (check.compared, check.skipped), (check.deviation, check.tolerance)
        if (
            not all(isinstance(text, str) for text in texts)
            or not all(type(count) is int and 0 <= count <= _LARGEST_STEP for count in counts)
            or not all(type(number) in (float, int) for number in numbers)
            or not isinstance(check.passed, bool)
        ):
            raise TypeError("a field has another type")
        self._checks.append(check)

    def _read_sentences(self, **plain: Any) -> None:
        if self._sentences is not None:
            raise TypeError("a trial writes its sentences once")
        self._sentences = Sentences.read(plain)


def _finished(*, outputs: dict[str, str], spent: Work, notes: dict[str, Any]) -> Outcome:
    if not all(isinstance(part, dict) for part in (outputs, spent, notes)):
        raise TypeError("outputs, spent and notes are mappings")
    if not all(isinstance(output, str) for output in outputs.values()):
        raise TypeError("outputs are texts")
    return Outcome(status="finished", outputs=outputs, spent=spent, notes=notes)


def _failed(*, error: str, traceback: str, cause: str = Cause.ERROR) -> Outcome:
    known = Cause(cause)
    if not isinstance(error, str) or not isinstance(traceback, str):
        raise TypeError("the error and its traceback are texts")
    status: Status = "lost" if known.transient else "failed"
    return Outcome(status=status, error=error, traceback=traceback, cause=known)


def _shown(line: bytes | str) -> str:
    """The beginning of a line for a message."""
    beginning = line[: _SHOWN + 1]
    text = beginning.decode("utf-8", "backslashreplace") if isinstance(beginning, bytes) else beginning
    text = text.rstrip("\n")
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r} …"


def _lines(descriptor: int) -> Iterator[bytes]:
    """The lines of an open file from its beginning. A line that is too long comes in several pieces."""
    offset, rest = 0, bytearray()
    while piece := os.pread(descriptor, _PIECE, offset):
        offset += len(piece)
        *complete, last = piece.split(b"\n")
        for line in complete:
            rest += line
            yield bytes(rest) + b"\n"
            rest.clear()
        rest += last
        if len(rest) >= LONGEST_LINE:
            yield bytes(rest)
            rest.clear()
    if rest:
        yield bytes(rest)
