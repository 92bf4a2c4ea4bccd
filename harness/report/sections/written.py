"""The texts that arms wrote: scores by the length of the source and by words that training never saw, and
examples side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from harness.report.inputs import ReportInput
from harness.report.labels import ArmName, arm_name, metric_of
from harness.scoring.lengths import by_source_length
from harness.scoring.sentences import Sentences, signatures
from harness.statistics import SentenceStatistics, bootstrap_interval
from harness.wording import number_text, precise_text

EDGES = (4, 7, 10, 15)
"""The numbers of words in a source at which the next group begins."""

RESAMPLES = 1000
RANDOM = 3
"""How many sentences are drawn at random."""

_FALLBACK = "bleu"


@dataclass(frozen=True, kw_only=True)
class Example:
    """A sentence with the output of every arm. Equal outputs are shown once, with the names of all their
    arms. `rule` says how the sentence was chosen.
    """

    rule: str
    number: int
    source: str
    reference: str
    outputs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class WrittenView:
    """`groups` are (name, number of sentences). `rows` hold an arm's score in each group with its 95 %
    interval. `signatures` are (score, signature).
    """

    score: str
    groups: tuple[tuple[str, int], ...]
    rows: tuple[tuple[ArmName, tuple[str, ...]], ...]
    examples: tuple[Example, ...]
    signatures: tuple[tuple[str, str], ...]


def written_view(report: ReportInput) -> WrittenView | None:
    """The view of the sentences of the first seed. None if no trial wrote texts."""
    written = report.written
    if not written:
        return None
    score = report.loaded.study.primary
    if not all(score in sentences.scores for sentences in written.values()):
        score = _FALLBACK
    groups = {arm: dict(_groups(sentences, score)) for arm, sentences in written.items()}
    names = list(next(iter(groups.values())))
    first = next(iter(groups.values()))
    return WrittenView(
        score=metric_of(score).label,
        groups=tuple((name, first[name].sentences) for name in names),
        rows=tuple(
            (arm_name(report.loaded, arm), tuple(_text(by_group[name]) for name in names if name in by_group))
            for arm, by_group in groups.items()
        ),
        examples=_examples(report, written, score),
        signatures=tuple(
            (metric_of(name).label, signature)
            for name, known in signatures(report.sentences.values()).items()
            for signature in known
        ),
    )


def _groups(written: Sentences, score: str) -> Iterator[tuple[str, SentenceStatistics]]:
    statistics = written.statistics(score)
    yield "all", statistics
    unseen = np.array(written.unseen) > 0
    for name, chosen in (("all words seen in training", ~unseen), ("with unseen words", unseen)):
        if chosen.any():
            yield name, statistics.where(chosen)
    for bucket, part in by_source_length(statistics, written.sources, edges=EDGES).items():
        yield f"{bucket} words", part


def _text(statistics: SentenceStatistics) -> str:
    interval = bootstrap_interval(statistics, resamples=RESAMPLES)
    ends = f"{number_text(interval.low)} to {number_text(interval.high)}"
    return f"{precise_text(round(statistics.corpus_score, 3))} ({ends})"


def chosen_sentences(written: Mapping[str, Sentences], score: str, *, seed: int) -> dict[int, str]:
    """The index of each sentence that is shown, with the rule that chose it.

    The rules: the sentence with the largest difference in `score` between any two arms, the sentence with the
    median of the mean over arms, and a few at random. Ties go to the first sentence, and no sentence is
    chosen twice. `written` maps each arm to its sentences; all arms have the same sources.
    """
    scores = np.stack([sentences.statistics(score).sentence_scores for sentences in written.values()])
    scores = np.nan_to_num(scores)  # (arms, sentences)
    spread, mean = scores.max(axis=0) - scores.min(axis=0), scores.mean(axis=0)
    median = np.argsort(mean, kind="stable")[len(mean) // 2]
    drawn = np.random.default_rng(seed).permutation(len(mean))[:RANDOM]
    rules = {int(spread.argmax()): f"largest disagreement in {metric_of(score).label}"}
    rules.setdefault(int(median), f"median {score}")
    for index in drawn.tolist():
        rules.setdefault(index, f"random, seed {seed}")
    return rules


def _examples(report: ReportInput, written: dict[str, Sentences], score: str) -> tuple[Example, ...]:
    first = next(iter(written.values()))
    examples = []
    rules = chosen_sentences(written, score, seed=report.loaded.study.design.order_seed)
    for index, rule in rules.items():
        arms: dict[str, list[str]] = {}
        for arm, sentences in written.items():
            arms.setdefault(sentences.outputs[index], []).append(report.loaded.label(arm))
        examples.append(
            Example(
                rule=rule,
                number=index + 1,
                source=first.sources[index],
                reference=first.references[index],
                outputs=tuple((", ".join(names), text) for text, names in arms.items()),
            )
        )
    return tuple(examples)
