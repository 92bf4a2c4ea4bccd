"""The protocol between a worker and its driver: events as lines of JSON, and the outcome that they give.

A worker writes `started`, any number of `sample` and `check`, `sentences` at most once, then `finished` or
`failed`. A file that ends without one of the last two comes from a worker that died: its trial is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple, TextIO

from harness.invariants.base import Check
from harness.scoring.sentences import Sentences
from harness.tasks.work import Work

Status = Literal["finished", "failed", "lost", "interrupted"]
"""`lost` means that the worker died without reporting an error, and `interrupted` that the driver stopped it
on purpose.
"""

STOPPED = "stopped"
"""The note of an interrupted trial that says why the driver stopped it."""


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
    (`harness.tasks.work`). It must be equal for all arms, unless the study declares a difference.
    """

    status: Status
    samples: tuple[Sample, ...] = ()
    checks: tuple[Check, ...] = ()
    outputs: dict[str, str] = field(default_factory=dict)
    spent: Work = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    sentences: Sentences | None = None
    error: str | None = None
    traceback: str | None = None


class EventWriter:
    """The worker's side. Each line is flushed, so that a killed worker loses at most one line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def started(self, trial: str, pid: int) -> None:
        self._write({"event": "started", "trial": trial, "pid": pid})

    def sample(self, metric: str, value: float, step: int = 0) -> None:
        """Write one raw value. NaN and infinities are written too, because divergence is data."""
        value = float(value)
        number = repr(value) if value - value == 0.0 else json.dumps(value)
        self._stream.write(f'{{"event":"sample","metric":"{metric}","step":{step},"value":{number}}}\n')
        self._stream.flush()

    def check(self, check: Check) -> None:
        self._write({"event": "check", **asdict(check)})

    def sentences(self, sentences: Sentences) -> None:
        self._write({"event": "sentences", **sentences.plain()})

    def finished(self, *, outputs: dict[str, str], spent: Work, notes: dict[str, Any]) -> None:
        self._write({"event": "finished", "outputs": outputs, "spent": spent, "notes": notes})

    def failed(self, error: str, traceback: str) -> None:
        self._write({"event": "failed", "error": error, "traceback": traceback})

    def _write(self, event: dict[str, Any]) -> None:
        self._stream.write(json.dumps(event) + "\n")
        self._stream.flush()


def samples_of(lines: Iterable[str]) -> list[Sample]:
    """The samples among complete lines of events."""
    events = (json.loads(line) for line in lines)
    return [_sample(event) for event in events if event["event"] == "sample"]


def _sample(event: dict[str, Any]) -> Sample:
    return Sample(event["metric"], event["step"], event["value"])


def read_events(lines: Iterable[str], *, died: str) -> Outcome:
    """The outcome of a trial from its events. `died` is the error if they end without an outcome.

    A last line that is cut off is ignored, because its worker is dead.
    """
    samples: list[Sample] = []
    checks: list[Check] = []
    sentences: Sentences | None = None
    for line in lines:
        if not line.endswith("\n"):
            break
        event = json.loads(line)
        kind = event.pop("event")
        if kind == "sample":
            samples.append(_sample(event))
        elif kind == "check":
            checks.append(Check(**event))
        elif kind == "sentences":
            sentences = Sentences.read(event)
        elif kind == "finished":
            return Outcome(
                status="finished", samples=tuple(samples), checks=tuple(checks), sentences=sentences, **event
            )
        elif kind == "failed":
            return Outcome(status="failed", samples=tuple(samples), checks=tuple(checks), **event)
    return Outcome(status="lost", samples=tuple(samples), checks=tuple(checks), error=died)
