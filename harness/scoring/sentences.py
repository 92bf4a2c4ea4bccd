"""What an arm wrote for each sentence, with the statistics of each score, in the form that is stored."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

from harness.errors import InputError
from harness.scoring.distinct import distinct_texts, sentence_keys
from harness.scoring.registry import stored_score
from harness.statistics import SentenceStatistics


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredStatistics:
    """The statistics of one score, as plain numbers, with one row per sentence."""

    signature: str
    values: tuple[tuple[float, ...], ...]

    @classmethod
    def from_statistics(cls, statistics: SentenceStatistics) -> Self:
        """Whole numbers are stored as integers."""
        return cls(
            signature=statistics.signature,
            values=tuple(
                tuple(int(value) if value.is_integer() else value for value in row)
                for row in statistics.values.tolist()
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Sentences:
    """`sources`, `references` and `outputs` have one text per sentence.

    The reference of a continuation is the text that followed.

    `unseen` has the number of words of each source that training never saw. `scores` maps the name of a score
    to its statistics. Raises InputError if their numbers differ, if there is no sentence, or if a statistic
    is not finite.
    """

    sources: tuple[str, ...]
    references: tuple[str, ...]
    outputs: tuple[str, ...]
    unseen: tuple[int, ...]
    scores: Mapping[str, StoredStatistics]

    def __post_init__(self) -> None:
        count = len(self.sources)
        if not count:
            raise InputError("no sentences were written")
        sizes = {"references": self.references, "outputs": self.outputs, "unseen": self.unseen}
        for name, values in (*sizes.items(), *((name, score.values) for name, score in self.scores.items())):
            if len(values) != count:
                raise InputError(f"there are {len(values)} {name} for {count} sources")
        for name in self.scores:
            try:
                self.statistics(name)
            except ValueError as error:
                raise InputError(str(error)) from None

    def statistics(self, metric: str) -> SentenceStatistics:
        """The statistics (sentences, k) of a score. Raises KeyError if that score was not computed."""
        stored = self.scores[metric]
        return stored_score(metric, stored.signature, stored.values, texts=self.texts)

    @property
    def keys(self) -> tuple[str, ...]:
        """What each sentence is: a digest of its source and its reference."""
        return sentence_keys(self.sources, self.references)

    @property
    def texts(self) -> tuple[str, ...]:
        """The name of each sentence's text. Sentences with the same name are one observation."""
        return distinct_texts(self.sources, self.references)

    @property
    def outputs_by_key(self) -> dict[str, list[str]]:
        """What was written for each sentence, in alphabetical order if the sentence occurs several times."""
        outputs: dict[str, list[str]] = {}
        for key, output in sorted(zip(self.keys, self.outputs, strict=True)):
            outputs.setdefault(key, []).append(output)
        return outputs

    @cached_property
    def content_id(self) -> str:
        """The SHA-256 of the content: equal sentences have equal ids."""
        return hashlib.sha256(self._json).hexdigest()

    def packed(self) -> bytes:
        """Compressed JSON."""
        return zlib.compress(self._json, 6)

    @classmethod
    def unpacked(cls, body: bytes) -> Sentences:
        """The sentences that `packed` made into bytes."""
        return cls.read(json.loads(zlib.decompress(body)))

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        fields = ("sources", "references", "outputs", "unseen")
        scores = {name: asdict(score) for name, score in self.scores.items()}
        return {**{name: getattr(self, name) for name in fields}, "scores": scores}

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Sentences:
        """The sentences that `plain` made into plain data."""
        scores = {
            name: StoredStatistics(signature=score["signature"], values=tuple(map(tuple, score["values"])))
            for name, score in plain["scores"].items()
        }
        texts = {name: tuple(plain[name]) for name in ("sources", "references", "outputs", "unseen")}
        return cls(**texts, scores=scores)

    @cached_property
    def _json(self) -> bytes:
        return json.dumps(self.plain(), sort_keys=True, separators=(",", ":")).encode()


def signatures(written: Iterable[Sentences]) -> dict[str, tuple[str, ...]]:
    """The signatures of each score: several if the sentences were not all scored in the same way.

    A score without a signature is left out.
    """
    by_score: dict[str, dict[str, None]] = {}
    for sentences in written:
        for name, score in sentences.scores.items():
            if score.signature:
                by_score.setdefault(name, {})[score.signature] = None
    return {name: tuple(known) for name, known in by_score.items()}
