"""`harness search`: its options, and what it prints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cli.console import CommandOutput
from harness.cli.options import RunOptions
from harness.cli.running import ProgressListener, show_verdicts
from harness.errors import InputError, Location, StudyError
from harness.report.sections.search import headline
from harness.study.reading.yaml_document import Override, read_text

SPACE_HINT = "for example --space optimizer.lr=1e-4:1e-1:log, or --space optimizer.kind=adamw,lion"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """The options that change the search of the study, as they were written."""

    space: Sequence[str]
    objective: Sequence[str]
    sampler: str | None
    enqueue: Sequence[str]

    @property
    def words(self) -> tuple[str, ...]:
        """The options as words of a command line."""
        pairs = [("--space", one) for one in self.space]
        pairs += [("--objective", one) for one in self.objective]
        pairs += [("--sampler", self.sampler)] if self.sampler else []
        pairs += [("--enqueue", one) for one in self.enqueue]
        return tuple(word for pair in pairs for word in pair)

    def overrides(self) -> tuple[Override, ...]:
        """The keys of the study that these options replace."""
        return tuple(Override(("search", *path), value, at) for path, value, at in self._entries())

    def _entries(self) -> Iterator[tuple[tuple[str, ...], Any, Location]]:
        for text in self.space:
            at = Location(f"--space {text}")
            path, values = _split(text, at, SPACE_HINT)
            yield ("space", path), _parameter(values, at), at
        if self.objective:
            at = Location(f"--objective {' '.join(self.objective)}")
            yield ("objective",), self.objective[0] if len(self.objective) == 1 else list(self.objective), at
        if self.sampler is not None:
            yield ("sampler",), {"kind": self.sampler}, Location(f"--sampler {self.sampler}")
        if self.enqueue:
            points = []
            for text in self.enqueue:
                at = Location(f"--enqueue {text}")
                points.append(dict(_setting(one, at) for one in text.split(",")))
            yield ("enqueue",), points, at


def _split(text: str, at: Location, hint: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not equals or not path or not value:
        raise StudyError("this is not PATH=VALUES", at=at, hint=hint)
    return path, value


def _setting(text: str, at: Location) -> tuple[str, Any]:
    path, value = _split(text, at, "for example --enqueue optimizer.lr=3e-3,batch=16")
    return path, _scalar(value, at)


def _parameter(values: str, at: Location) -> dict[str, Any]:
    ends = values.split(":")
    if len(ends) == 1:
        return {"choices": [_scalar(one, at) for one in values.split(",")]}
    if len(ends) > 3:
        raise StudyError("a range is LOW:HIGH, LOW:HIGH:log or LOW:HIGH:STEP", at=at, hint=SPACE_HINT)
    parameter = {"low": _scalar(ends[0], at), "high": _scalar(ends[1], at)}
    if len(ends) == 3:
        parameter |= {"log": True} if ends[2] == "log" else {"step": _scalar(ends[2], at)}
    return parameter


def _scalar(text: str, at: Location) -> Any:
    """The value that the text has in YAML."""
    try:
        return read_text(f"value: {text}", file=at.file).data["value"]
    except StudyError as error:
        raise StudyError(error.message, at=at) from None


def seconds_of(text: str) -> float:
    """`90s`, `30m`, `1.5h` or `2d` in seconds. Raises InputError if the text has another form."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if match is None or float(match[1]) == 0:
        raise InputError(f"--timeout {text!r} is not a time", hint="for example 90s, 30m or 1.5h")
    return float(match[1]) * _UNITS[match[2]]


def search_study(
    study: str,
    wanted: SearchOptions,
    options: RunOptions,
    output: CommandOutput,
    *,
    part: str,
    budget: tuple[int | None, str | None],
) -> None:
    """Search, prove the best point, print the verdicts, and write the report. Raises as `show_verdicts`."""
    trials, timeout = budget
    most_seconds = None if timeout is None else seconds_of(timeout)
    words = (*(("--part", part) if part else ()), *wanted.words)
    search = options.load(study).searching(part, wanted.overrides(), words)
    with output.progress() as progress:
        search.run(trials=trials, timeout=most_seconds, listener=ProgressListener(output, progress))
    proof = search.proof
    if not output.quiet and not output.json:
        for line in headline(proof.findings()[0]):
            output.line(line)
    show_verdicts(proof, output, report=True)
