"""What arms wrote: scores by the length of the source and by words that training never saw, and examples side
by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from harness.report.examples import examples
from harness.report.inputs import ReportInput
from harness.report.labels import ArmName, arm_name, metric_of
from harness.report.sections.base import Section
from harness.scoring import by_source_length
from harness.scoring.sentences import Sentences, signatures
from harness.statistics import SentenceStatistics, bootstrap_interval
from harness.wording import number_text, precise_text

EDGES = (4, 7, 10, 15)
"""Words of a source at which the next group begins."""

RESAMPLES = 1000
_FALLBACK = "bleu"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A sentence with every arm's output; outputs that are equal are shown once, with all their arms."""

    rule: str
    number: int
    source: str
    reference: str
    outputs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class WrittenView:
    """`groups` are (name, sentences), `rows` an arm's score in each with its 95 % interval; `signatures` are
    (score, its own).
    """

    score: str
    groups: tuple[tuple[str, int], ...]
    rows: tuple[tuple[ArmName, tuple[str, ...]], ...]
    examples: tuple[Shown, ...]
    signatures: tuple[tuple[str, str], ...]


def written_view(report: ReportInput) -> WrittenView | None:
    """Of the first seed's sentences; None where nothing was written."""
    written = report.written
    if not written:
        return None
    score = report.loaded.study.primary
    if not all(score in each.scores for each in written.values()):
        score = _FALLBACK
    groups = {arm: dict(_groups(each, score)) for arm, each in written.items()}
    names = list(next(iter(groups.values())))
    first = next(iter(groups.values()))
    return WrittenView(
        score=metric_of(score).label,
        groups=tuple((name, first[name].sentences) for name in names),
        rows=tuple(
            (arm_name(report.loaded, arm), tuple(_text(found[name]) for name in names if name in found))
            for arm, found in groups.items()
        ),
        examples=_shown(report, written, score),
        signatures=tuple(
            (metric_of(name).label, signature)
            for name, known in signatures(report.sentences.values()).items()
            for signature in known
        ),
    )


def _groups(written: Sentences, score: str) -> Iterator[tuple[str, SentenceStatistics]]:
    whole = written.statistics(score)
    yield "all", whole
    unseen = np.array(written.unseen) > 0
    for name, chosen in (("all words seen in training", ~unseen), ("with unseen words", unseen)):
        if chosen.any():
            yield name, replace(whole, values=whole.values[chosen])
    for bucket, part in by_source_length(whole, written.sources, edges=EDGES).items():
        yield f"{bucket} words", part


def _text(found: SentenceStatistics) -> str:
    ends = bootstrap_interval(found, resamples=RESAMPLES)
    return (
        f"{precise_text(round(found.corpus_score, 3))} ({number_text(ends.low)} to {number_text(ends.high)})"
    )


def _shown(report: ReportInput, written: dict[str, Sentences], score: str) -> tuple[Shown, ...]:
    first = next(iter(written.values()))
    shown = []
    for chosen in examples(written, score, seed=report.loaded.study.design.order_seed):
        arms: dict[str, list[str]] = {}
        for arm, each in written.items():
            arms.setdefault(each.outputs[chosen.place], []).append(report.loaded.label(arm))
        shown.append(
            Shown(
                rule=chosen.rule,
                number=chosen.place + 1,
                source=first.sources[chosen.place],
                reference=first.references[chosen.place],
                outputs=tuple((", ".join(names), text) for text, names in arms.items()),
            )
        )
    return tuple(shown)


SECTION = Section(id="written", title="What was written", view=written_view)
