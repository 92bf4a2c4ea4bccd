"""What tasks that write text share: one way of decoding, timed on all texts, and every score of what came
out.

One unit is all texts decoded once; a trial's value is the median over its units. Scores are those of the last
unit, taken off the clock.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from harness.errors import InputError
from harness.invariants.subjects import Subject, WritingSubject
from harness.models.config import CacheKind
from harness.models.decoding.config import BeamSearch, Decoding, Greedy, Speculative
from harness.scoring.sentences import Sentences, kept
from harness.scoring.texts import check_texts
from harness.tasks.base import Context, Report, Result, Task
from harness.tasks.score import METRICS as SCORES
from harness.tasks.train import Train
from harness.tasks.trained_model import Recipe
from harness.telemetry.clock import WarmUp

if TYPE_CHECKING:
    from harness.data.tokenizer import Tokenizer
    from harness.tasks.score import Forced
    from harness.tasks.timed_decoding import How, Prompted, Written
    from harness.telemetry.clock import Clock, Timing


@dataclass(frozen=True, kw_only=True)
class Texts:
    """N texts to write on, and the ids of each source, by whose number batches are sorted.

    InputError, before anything is decoded, where there are fewer than two, or a reference is lacking or
    empty.
    """

    sources: tuple[str, ...]
    references: tuple[str, ...]
    source_ids: tuple[tuple[int, ...], ...]
    reference_ids: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        check_texts(self.sources, self.references, name="sources")
        if len(self.sources) < 2:
            raise InputError("one text was found, and how varied texts are needs two")

    def batches(self, size: int, written: Sequence[Sequence[int]] = ()) -> list[list[int]]:
        """The places of texts of like length, `size` at a time; what was `written` on them counts first,
        where it is given.
        """

        def length(place: int) -> tuple[int, int]:
            return len(written[place]) if written else 0, len(self.source_ids[place])

        order = sorted(range(len(self.sources)), key=length)
        return [order[start : start + size] for start in range(0, len(order), size)]


class Prompter(ABC):
    """How texts become prompts of a model, and what the model gives to texts.

    `end` is the token that ends a row.
    """

    end: int | None

    @abstractmethod
    def batch(self, places: Sequence[int]) -> Prompted:
        """The texts at these places, ready to be decoded."""

    @abstractmethod
    def forced(self, rows: Sequence[Sequence[int]]) -> Forced:
        """What the model gives to a row of ids for each text, by teacher forcing."""

    @abstractmethod
    def subject(self, task: Decode, places: Sequence[int]) -> WritingSubject:
        """What an invariant is checked on."""


class Decode(Task):
    """`batch` texts at a time, until each ends or has `new_tokens` tokens; `draft` proposes for speculative
    decoding.
    """

    products: ClassVar[Literal["large", "small"]] = "small"
    metrics: ClassVar[tuple[str, ...]] = (
        "sentence_seconds",
        "sentences_per_second",
        "tokens_per_second",
        "first_token_seconds",
        "first_token_p95_seconds",
        "first_token_p99_seconds",
        "new_tokens",
        "acceptance_rate",
        "peak_tensor_bytes",
        "peak_rss_bytes",
        *SCORES,
    )
    offers: ClassVar[type[Subject] | None] = WritingSubject
    imports: ClassVar[tuple[str, ...]] = ("sacrebleu", "rouge_score.rouge_scorer")  # by scores, a second

    model: Recipe
    draft: Recipe | None = None
    decoding: Decoding = Greedy()
    new_tokens: int = Field(gt=0)
    cache: CacheKind = "dynamic"
    batch: int = Field(default=64, gt=0)
    units: int = Field(default=1, gt=0)
    warm_up: WarmUp = WarmUp(at_least=0, at_most=0)

    @field_validator("decoding")
    @classmethod
    def _writes_one_text(cls, decoding: Decoding) -> Decoding:
        if isinstance(decoding, BeamSearch) and decoding.n_best > 1:
            raise ValueError(
                f"n_best is {decoding.n_best}, but a study writes one text a sentence: leave it out"
            )
        return decoding

    @model_validator(mode="after")
    def _has_a_draft(self) -> Self:
        if isinstance(self.decoding, Speculative) and self.draft is None:
            raise ValueError("decoding speculative needs a draft model: `draft: {recipe: …}`")
        if self.draft is not None:
            self._check_draft(self.draft.train, self.model.train)
        return self

    def _check_draft(self, draft: Train, target: Train) -> None:
        if draft.model.kind != target.model.kind:
            raise ValueError(f"draft is of the kind {draft.model.kind}, and the model {target.model.kind}")
        if draft.tokenizer != target.tokenizer:
            raise ValueError("draft and model need the same tokenizer")
        if draft.corpus != target.corpus:
            raise ValueError("draft and model need the same corpus: it makes their tokenizer")

    @property
    def max_positions(self) -> int:
        """Of the model, or of a draft that has fewer and is used."""
        used = [self.model.train.model.max_positions]
        if self.draft is not None and isinstance(self.decoding, Speculative):
            used.append(self.draft.train.model.max_positions)
        return min(used)

    def trainings(self) -> tuple[Task, ...]:
        """The draft's only where it is used: an arm that does not speculate does not wait for it."""
        drafts = (self.draft.train,) if self.draft and isinstance(self.decoding, Speculative) else ()
        return (self.model.train, *drafts)

    text_settings: ClassVar[tuple[str, ...]] = ("model", "draft", "decoding", "new_tokens")

    def check_text(self) -> None:
        self.texts()

    @abstractmethod
    def texts(self) -> tuple[Texts, Tokenizer]:
        """What is written on.

        CorpusError or InputError: there are fewer, or one is empty or longer than the model reads.
        """

    @abstractmethod
    def learnt(self) -> Iterable[str]:
        """The text, on the side of the sources, that the model was trained on."""

    @abstractmethod
    def prompted(self, texts: Texts, context: Context) -> Prompter:
        """The models of the trial, on its device."""

    def subject(self, context: Context) -> WritingSubject:
        texts, _ = self.texts()
        return self.prompted(texts, context).subject(self, list(range(min(8, len(texts.sources)))))

    def run(self, context: Context, report: Report) -> Result:
        from harness.models.cost import parameter_count
        from harness.tasks.timed_decoding import How, Written, write
        from harness.telemetry.clock import Clock, time_units
        from harness.telemetry.memory import peak_rss_bytes, reset_peak_rss

        texts, tokenizer = self.texts()
        prompter = self.prompted(texts, context)
        how = How(
            decoding=self.decoding,
            seed=context.seed,
            new_tokens=self.new_tokens,
            cache=self.cache,
            end=prompter.end,
        )
        clock, batches, units = Clock(context.device), texts.batches(self.batch), list[Written]()
        reset_peak_rss()
        timing = time_units(
            lambda: units.append(write(batches, prompter.batch, how, clock)),
            count=self.units,
            clock=clock,
            warm_up=self.warm_up,
        )
        report("peak_rss_bytes", peak_rss_bytes() or math.nan)
        for step, unit in enumerate(units[-self.units :]):
            self._report_speed(unit, report, step)
        self._report_memory(batches, prompter, how, clock, report)
        outputs = [tokenizer.decode(row).strip() for row in units[-1].rows]
        sentences = self._scored(texts, outputs, units[-1], prompter, tokenizer, report)
        return Result(
            outputs={"tokens": ",".join(sorted({_digest(unit.rows) for unit in units}))},
            spent={
                **self.model.spent,
                "sentences": len(texts.sources),
                "parameters": parameter_count(self.model.train.model),
            },
            notes=_notes(timing),
            sentences=sentences,
        )

    def _report_speed(self, unit: Written, report: Report, step: int) -> None:
        seconds, count = sum(unit.seconds), len(unit.rows)
        report("sentence_seconds", seconds / count, step)
        report("sentences_per_second", count / seconds, step)
        report("tokens_per_second", unit.new_tokens / seconds, step)
        report("new_tokens", unit.new_tokens, step)
        first = np.percentile(unit.first_token_seconds, (50, 95, 99)).tolist()
        names = ("first_token_seconds", "first_token_p95_seconds", "first_token_p99_seconds")
        for name, value in zip(names, first, strict=True):
            report(name, value, step)
        if unit.drafted:
            report("acceptance_rate", unit.acceptance_rate, step)

    def _report_memory(
        self, batches: list[list[int]], prompter: Prompter, how: How, clock: Clock, report: Report
    ) -> None:
        """Of the batch with the longest sources, once more and off the clock: watching every tensor costs
        time.
        """
        from harness.tasks.timed_decoding import write
        from harness.telemetry.tensor_memory import TensorPeak

        longest = batches[-1]
        with TensorPeak() as peak:
            write([list(range(len(longest)))], lambda _: prompter.batch(longest), how, clock)
        report("peak_tensor_bytes", peak.peak_bytes)

    def _scored(
        self,
        texts: Texts,
        outputs: list[str],
        unit: Written,
        prompter: Prompter,
        tokenizer: Tokenizer,
        report: Report,
    ) -> Sentences:
        from harness.scoring import perplexities
        from harness.tasks.score import corpus_scores, distinct, model_score, score_texts, unseen_words

        found = score_texts(outputs, texts.references)
        found["model_score"] = model_score(prompter.forced(unit.ended_rows))
        known: Forced = prompter.forced(texts.reference_ids)
        nats = [-each for each in known.nats]
        for each in perplexities(nats, known.tokens, texts.references, tokenizer=tokenizer.digest).values():
            found[each.metric] = each
        for name, value in corpus_scores(found).items():
            report(name, value)
        for n in (1, 2):
            report(f"distinct_{n}", distinct(outputs, n))
        return Sentences(
            sources=texts.sources,
            references=texts.references,
            outputs=tuple(outputs),
            unseen=unseen_words(texts.sources, self.learnt()),
            scores={name: kept(each) for name, each in found.items()},
        )


def _digest(rows: list[list[int]]) -> str:
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def _notes(timing: Timing) -> dict[str, object]:
    return {"warm_up_units": len(timing.warm_up_seconds), "steady": timing.steady}
