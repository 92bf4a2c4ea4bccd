"""What a worker reports, line by line, and what the driver makes of it.

A worker writes JSON lines: `started`, any number of `sample` and `check`, `sentences` at most once, then
`finished` or `failed`. A file that ends without one of the last two belongs to a worker that died: its trial
is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple, TextIO

from harness.invariants.base import Check
from harness.scoring.sentences import Sentences

Status = Literal["finished", "failed", "lost"]
"""`lost` is a worker that died without a word of its own."""


class Sample(NamedTuple):
    """One raw value; `step` counts repeated units within a trial (updates, generations) from 0."""

    metric: str
    step: int
    value: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A trial's result: raw samples, invariant checks, hashes of its outputs, and what work it spent.

    `spent` counts work (updates, tokens, parameters): arms must match in it unless the study says otherwise.
    """

    status: Status
    samples: tuple[Sample, ...] = ()
    checks: tuple[Check, ...] = ()
    outputs: dict[str, str] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    sentences: Sentences | None = None
    error: str | None = None
    traceback: str | None = None


class EventWriter:
    """The worker's side.

    Each line is flushed, so that a killed worker loses at most the line it was writing.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def started(self, trial: str, pid: int) -> None:
        self._write({"event": "started", "trial": trial, "pid": pid})

    def sample(self, metric: str, value: float, step: int = 0) -> None:
        """One raw value. NaN and infinities are kept: divergence is data."""
        value = float(value)
        number = repr(value) if value - value == 0.0 else json.dumps(value)
        self._stream.write(f'{{"event":"sample","metric":"{metric}","step":{step},"value":{number}}}\n')
        self._stream.flush()

    def check(self, check: Check) -> None:
        self._write({"event": "check", **asdict(check)})

    def sentences(self, sentences: Sentences) -> None:
        self._write({"event": "sentences", **sentences.plain()})

    def finished(self, *, outputs: dict[str, str], spent: dict[str, float], notes: dict[str, Any]) -> None:
        self._write({"event": "finished", "outputs": outputs, "spent": spent, "notes": notes})

    def failed(self, error: str, traceback: str) -> None:
        self._write({"event": "failed", "error": error, "traceback": traceback})

    def _write(self, event: dict[str, Any]) -> None:
        self._stream.write(json.dumps(event) + "\n")
        self._stream.flush()


def read_events(lines: Iterable[str], *, died: str) -> Outcome:
    """The outcome that the lines tell; `died` is the error where they end without one.

    A last line cut off in the middle is ignored, as the worker that wrote it is dead.
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
            samples.append(Sample(event["metric"], event["step"], event["value"]))
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
