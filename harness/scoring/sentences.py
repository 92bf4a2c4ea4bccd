"""What an arm wrote for each sentence, with what each score needs of it: as a trial leaves it and the store
keeps it.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from harness.errors import InputError
from harness.scoring.formulas import scored
from harness.statistics import SentenceStatistics


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """The statistics of one score, as plain numbers: a row a sentence."""

    signature: str
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """`sources`, `references` and `outputs` hold one text a sentence; a continuation's reference is the text
    that followed.

    `unseen` counts the words of each source that training never saw. `scores` maps a metric of `SCORES` to
    its statistics. InputError where their numbers differ, there is no sentence, or a statistic is not finite.
    """

    sources: tuple[str, ...]
    references: tuple[str, ...]
    outputs: tuple[str, ...]
    unseen: tuple[int, ...]
    scores: Mapping[str, Kept]

    def __post_init__(self) -> None:
        count = len(self.sources)
        if not count:
            raise InputError("no sentences were written")
        sizes = {"references": self.references, "outputs": self.outputs, "unseen": self.unseen}
        for name, values in (*sizes.items(), *((name, kept.values) for name, kept in self.scores.items())):
            if len(values) != count:
                raise InputError(f"{len(values)} {name} for {count} sources")
        for name in self.scores:
            try:
                self.statistics(name)
            except ValueError as error:
                raise InputError(str(error)) from None

    def statistics(self, metric: str) -> SentenceStatistics:
        """The statistics (sentences, k) of one of its scores; KeyError where it has none by that name."""
        kept = self.scores[metric]
        return scored(metric, kept.signature, kept.values)

    @cached_property
    def content_id(self) -> str:
        """The SHA-256 of all that it holds: equal sentences have equal ids."""
        return hashlib.sha256(self._json).hexdigest()

    def packed(self) -> bytes:
        """Compressed JSON."""
        return zlib.compress(self._json, 6)

    @classmethod
    def unpacked(cls, body: bytes) -> Sentences:
        """What `packed` made."""
        return cls.read(json.loads(zlib.decompress(body)))

    def plain(self) -> dict[str, Any]:
        """As JSON keeps it."""
        fields = ("sources", "references", "outputs", "unseen")
        scores = {name: asdict(kept) for name, kept in self.scores.items()}
        return {**{name: getattr(self, name) for name in fields}, "scores": scores}

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Sentences:
        """What `plain` made."""
        scores = {
            name: Kept(signature=kept["signature"], values=tuple(map(tuple, kept["values"])))
            for name, kept in plain["scores"].items()
        }
        texts = {name: tuple(plain[name]) for name in ("sources", "references", "outputs", "unseen")}
        return cls(**texts, scores=scores)

    @cached_property
    def _json(self) -> bytes:
        return json.dumps(self.plain(), sort_keys=True, separators=(",", ":")).encode()


def signatures(written: Iterable[Sentences]) -> dict[str, tuple[str, ...]]:
    """Score → its signature; several where not all that was written was scored alike, none of a score without
    one.
    """
    found: dict[str, dict[str, None]] = {}
    for each in written:
        for name, score in each.scores.items():
            if score.signature:
                found.setdefault(name, {})[score.signature] = None
    return {name: tuple(known) for name, known in found.items()}


def kept(statistics: SentenceStatistics) -> Kept:
    """The statistics of a score as they are kept: whole numbers as such."""
    rows = statistics.values.tolist()
    return Kept(
        signature=statistics.signature,
        values=tuple(tuple(int(value) if value.is_integer() else value for value in row) for row in rows),
    )
