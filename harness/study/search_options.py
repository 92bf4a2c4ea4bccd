"""The options of `harness search` that change the search of a study: what they say, and what they replace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from harness.errors import Location, StudyError
from harness.study.reading.yaml_document import Override, read_value

SPACE_HINT = "for example --space optimizer.lr=1e-4:1e-1:log, or --space optimizer.kind=adamw,lion"


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """The options that change the search of the study, as they were written."""

    space: Sequence[str]
    objective: Sequence[str]
    sampler: str | None
    enqueue: Sequence[str]

    @classmethod
    def read(cls, words: Sequence[str]) -> SearchOptions:
        """The options among the words of a command line."""
        given = list(pairwise(words))

        def values(flag: str) -> tuple[str, ...]:
            return tuple(word for name, word in given if name == flag)

        return cls(
            space=values("--space"),
            objective=values("--objective"),
            sampler=next(iter(values("--sampler")), None),
            enqueue=values("--enqueue"),
        )

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
    return path, read_value(value, at=at)


def _parameter(values: str, at: Location) -> dict[str, Any]:
    ends = values.split(":")
    if len(ends) == 1:
        return {"choices": [read_value(one, at=at) for one in values.split(",")]}
    if len(ends) > 3:
        raise StudyError("a range is LOW:HIGH, LOW:HIGH:log or LOW:HIGH:STEP", at=at, hint=SPACE_HINT)
    parameter = {"low": read_value(ends[0], at=at), "high": read_value(ends[1], at=at)}
    if len(ends) == 3:
        parameter |= {"log": True} if ends[2] == "log" else {"step": read_value(ends[2], at=at)}
    return parameter
