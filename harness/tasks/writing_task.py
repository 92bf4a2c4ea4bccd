"""What tasks that write text share: all texts are decoded in one way and timed, and the texts are scored.

In one unit all texts are decoded once, and a trial's value is the median of its units. The texts of the last
unit are scored, which is not timed.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from harness.config import MEASUREMENT
from harness.data.corpus import load_corpus
from harness.data.overlap import held_out_note
from harness.errors import InputError
from harness.invariants.subjects import Subject, WritingSubject
from harness.metrics import ENERGY_METRICS
from harness.models.config import CacheKind
from harness.models.decoding.config import BeamSearch, Decoding, Greedy, Speculative
from harness.scoring.fit import WORDS_NEEDED, why_unfit
from harness.scoring.registry import SCORE_NAMES, added_scores, corpus_scores, statistics_by_score
from harness.scoring.sentences import Sentences, StoredStatistics
from harness.scoring.texts import (
    DEFAULT_TOKENIZER,
    LogLikelihoods,
    ScoreTokenizer,
    WrittenTexts,
    check_texts,
    unseen_words,
)
from harness.tasks.base import Context, Result, SampleRecorder, Task, TimedWork
from harness.tasks.train import Train
from harness.tasks.trained_model import TrainedModel
from harness.tasks.work import Work, fingerprint, fingerprint_of_texts
from harness.telemetry.clock import Clock, WarmUp, time_units
from harness.telemetry.memory import peak_rss_bytes, reset_peak_rss

if TYPE_CHECKING:
    from torch import Tensor

    from harness.data.content import Corpus
    from harness.data.reference import CorpusRef
    from harness.data.tokenizer import Tokenizer
    from harness.models.decoding.base import Scorer
    from harness.tasks.support.timed_decoding import DecodedTexts, DecodingSettings, PromptedModel


@dataclass(frozen=True, kw_only=True)
class Texts:
    """N texts to write on, with their references, the ids of both, and the number of bytes that the ids of
    each reference stand for. Batches are sorted by the number of a source's ids.

    Raises InputError, before anything is decoded, if there are fewer than two texts, or if a reference is
    missing or empty.
    """

    sources: tuple[str, ...]
    references: tuple[str, ...]
    source_ids: tuple[tuple[int, ...], ...]
    reference_ids: tuple[tuple[int, ...], ...]
    reference_bytes: tuple[int, ...]

    def __post_init__(self) -> None:
        check_texts(self.sources, self.references, name="sources")
        if len(self.sources) < 2:
            raise InputError(
                "there is only one text to write on, but the variety of texts is measured on at least two",
                hint="use a split with more texts",
            )

    def batches(self, size: int, written: Sequence[Sequence[int]] = ()) -> list[list[int]]:
        """The indices of texts of similar length, `size` at a time. If `written` has texts, their lengths
        come first in the order.
        """

        def length(index: int) -> tuple[int, int]:
            return len(written[index]) if written else 0, len(self.source_ids[index])

        order = sorted(range(len(self.sources)), key=length)
        return [order[start : start + size] for start in range(0, len(order), size)]


class Prompter(ABC):
    """The models of a trial, and how they are prompted to write on its texts.

    `end` is the token that ends a text, or None if all texts have the greatest length. `loaded` is the model
    as its training left it.
    """

    end: ClassVar[int | None]

    def __init__(self, task: WritingTask, texts: Texts, context: Context) -> None:
        from harness.models.cpu_decoding import prepare_for_decoding

        self.task, self.texts, self.device = task, texts, context.device
        self.loaded: Any = task.model.load(context)
        drafts: list[Any] = [task.draft.load(context)] if task.draft is not None and task.drafts else []
        self._models = [prepare_for_decoding(model) for model in (self.loaded, *drafts)]

    def batch(self, indices: Sequence[int]) -> PromptedModel:
        """The texts with these indices, ready to be decoded."""
        from harness.tasks.support.timed_decoding import PromptedModel

        model, *drafts = self.bound(self._models, indices)
        return PromptedModel(model, drafts[0] if drafts else None, self.prompts(indices))

    def likelihoods(self, rows: Sequence[Sequence[int]]) -> LogLikelihoods:
        """The probability that the model gives to a row of ids for each text, by teacher forcing."""
        from harness.tasks.support.teacher_forcing import teacher_forced

        def logits(tokens: Tensor, indices: Sequence[int]) -> Tensor:
            (model,) = self.bound(self._models[:1], indices)
            return model(tokens.to(self.device), cache=None, valid=None)

        prompts = [self.prompt_ids(index) for index in range(len(rows))]
        return teacher_forced(logits, prompts, rows, self.texts.batches(self.task.batch, rows))

    def prompts(self, indices: Sequence[int]) -> Tensor:
        """(B, P)."""
        import torch

        return torch.tensor([self.prompt_ids(index) for index in indices], device=self.device)

    @abstractmethod
    def subject(self, indices: Sequence[int]) -> WritingSubject:
        """The model and the texts with these indices, on which invariants are checked."""

    @abstractmethod
    def prompt_ids(self, index: int) -> Sequence[int]:
        """The ids after which the model writes."""

    @abstractmethod
    def bound(self, models: Sequence[Any], indices: Sequence[int]) -> list[Scorer]:
        """The models, bound to the sources of the texts if they read sources."""


class WritingTask(Task):
    """Decodes `batch` texts at a time, until each ends or has `new_tokens` tokens. `draft` is the model that
    proposes tokens in speculative decoding. `score_tokenizer` divides texts into words for the scores that
    count words: text without spaces needs `zh` or `char`.
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
        *ENERGY_METRICS,
        *SCORE_NAMES,
    )
    offers: ClassVar[type[Subject] | None] = WritingSubject
    imports: ClassVar[tuple[str, ...]] = (
        "sacrebleu",
        "rouge_score.rouge_scorer",
    )  # for scores; takes a second

    model: TrainedModel
    """The trained model that writes."""

    draft: TrainedModel | None = None
    """The smaller model that proposes tokens in speculative decoding."""

    decoding: Decoding = Greedy()
    """How the next token is chosen."""

    new_tokens: int = Field(gt=0)
    """The largest number of tokens of a text that is written."""

    cache: CacheKind = "dynamic"
    """The kind of key-value cache. none computes everything again for each token."""

    batch: int = Field(default=64, gt=0)
    """The number of texts that are written together."""

    score_tokenizer: ScoreTokenizer = DEFAULT_TOKENIZER
    """How texts are divided into words for scores that count words. Text without spaces needs `zh` or `char`.
    """

    units: Annotated[int, MEASUREMENT] = Field(default=1, gt=0)
    """How often all texts are written and timed in a trial."""

    warm_up: Annotated[WarmUp, MEASUREMENT] = WarmUp(at_least=0, at_most=0)
    """The rule for the repetitions that run before anything is timed."""

    @classmethod
    def recorded(cls) -> tuple[str, ...]:
        return (*super().recorded(), *added_scores())

    @field_validator("decoding")
    @classmethod
    def _writes_one_text(cls, decoding: Decoding) -> Decoding:
        if isinstance(decoding, BeamSearch) and decoding.n_best > 1:
            raise ValueError(
                f"n_best is {decoding.n_best}, but a study writes one text per sentence; leave n_best out"
            )
        return decoding

    @model_validator(mode="after")
    def _has_a_draft(self) -> Self:
        if isinstance(self.decoding, Speculative) and self.draft is None:
            raise ValueError("decoding speculative needs a draft model; add `draft: {recipe: …}`")
        if self.draft is not None:
            self._check_draft(self.draft.train, self.model.train)
        return self

    def _check_draft(self, draft: Train, target: Train) -> None:
        if draft.model.kind != target.model.kind:
            raise ValueError(
                f"draft must be of the same kind as the model, {target.model.kind}, "
                f"but its kind is {draft.model.kind}"
            )
        if draft.tokenizer != target.tokenizer:
            raise ValueError("draft and model must have the same tokenizer")
        if draft.corpus != target.corpus:
            raise ValueError(
                "draft and model must have the same corpus, because their tokenizer is learnt from it"
            )

    @property
    def drafts(self) -> tuple[Train, ...]:
        """The training of the draft, if the decoding uses it: other arms do not wait for it."""
        return (self.draft.train,) if self.draft and isinstance(self.decoding, Speculative) else ()

    @property
    def max_positions(self) -> int:
        """The smallest number of positions of the models in use."""
        return min(training.model.max_positions for training in self.trainings())

    def trainings(self) -> tuple[Train, ...]:
        return (self.model.train, *self.drafts)

    text_settings: ClassVar[tuple[str, ...]] = ("model", "draft", "decoding", "new_tokens")

    def check_text(self) -> None:
        _, corpus, _ = self.texts()
        self._held_out(corpus)

    def check_scores(self, metrics: Iterable[str]) -> None:
        named = sorted(set(metrics) & WORDS_NEEDED.keys())
        if not named:
            return
        texts, _, _ = self.texts()
        signature = "" if self.score_tokenizer == DEFAULT_TOKENIZER else f"tok:{self.score_tokenizer}"
        for name in named:
            if reason := why_unfit(name, texts.references, signature):
                raise InputError(f"{self.name}: {reason}")

    def _held_out(self, training: Corpus) -> dict[str, Any]:
        reference, split = self.text_source
        return held_out_note(training, load_corpus(reference), split)

    def expected_work(self) -> Work:
        name, settings = self.expected_texts
        expected = self.model.expected_work
        texts = fingerprint(name, [*settings, expected["tokenizer"]])
        return {**expected, "batch": self.batch, "sources": texts, "references": texts}

    @property
    @abstractmethod
    def expected_texts(self) -> tuple[str, list[Any]]:
        """A name for the texts to write on, and the settings that decide on them, besides the tokenizer."""

    @abstractmethod
    def texts(self) -> tuple[Texts, Corpus, Tokenizer]:
        """The texts to write on, and the corpus and the tokenizer of the model's training.

        Raises CorpusError or InputError if there are too few, or if one is empty or longer than the model
        reads.
        """

    @property
    @abstractmethod
    def text_source(self) -> tuple[CorpusRef, str]:
        """The corpus and the split of the texts to write on."""

    @abstractmethod
    def training_sources(self) -> Iterable[str]:
        """The text that the model was trained on; for a translator, the sources of it."""

    @abstractmethod
    def prompter(self, texts: Texts, context: Context) -> Prompter:
        """The models of the trial on its device, ready to write on the texts."""

    def subject(self, context: Context) -> WritingSubject:
        texts, *_ = self.texts()
        return self.prompter(texts, context).subject(range(min(8, len(texts.sources))))

    def run(self, context: Context, record: SampleRecorder) -> Result:
        from harness.tasks.support.timed_decoding import DecodedTexts, DecodingSettings, decode_batches

        texts, corpus, tokenizer = self.texts()
        prompter = self.prompter(texts, context)
        settings = DecodingSettings(
            decoding=self.decoding,
            seed=context.seed,
            new_tokens=self.new_tokens,
            cache=self.cache,
            end=prompter.end,
        )
        clock, batches, units = Clock(context.device), texts.batches(self.batch), list[DecodedTexts]()
        reset_peak_rss()
        timing = time_units(
            lambda: units.append(decode_batches(batches, prompter.batch, settings, clock)),
            count=self.units,
            clock=clock,
            warm_up=self.warm_up,
        )
        record("peak_rss_bytes", peak_rss_bytes() or math.nan)
        for step, unit in enumerate(units[-self.units :]):
            self._record_speed(unit, record, step)
        self._record_memory(batches, prompter, settings, clock, record)
        outputs = [tokenizer.decode(row).strip() for row in units[-1].rows]
        return Result(
            outputs={"tokens": ",".join(sorted({_digest(unit.rows) for unit in units}))},
            spent={
                **self.model.work(corpus, tokenizer),
                **self._texts_work(texts),
            },
            notes={
                "warm_up_units": len(timing.warm_up_seconds),
                "steady": timing.steady,
                **self._held_out(corpus),
            },
            sentences=self._scored(texts, outputs, units[-1], prompter, tokenizer, record),
            timed=TimedWork(span=timing.span, tokens=sum(unit.new_tokens for unit in units[-self.units :])),
        )

    def _texts_work(self, texts: Texts) -> Work:
        """`new_tokens` is the most that the texts may have: how long they get is a result."""
        name, _ = self.expected_texts
        pairs = sorted(zip(texts.sources, texts.references, strict=True))  # their order changes no score
        return {
            "batch": self.batch,
            "sentences": len(texts.sources),
            "prompt_tokens": sum(map(len, texts.source_ids)),
            "new_tokens": len(texts.sources) * self.new_tokens,
            "sources": fingerprint_of_texts(name, (source for source, _ in pairs)),
            "references": fingerprint_of_texts(name, (reference for _, reference in pairs)),
        }

    def _record_speed(self, unit: DecodedTexts, record: SampleRecorder, step: int) -> None:
        seconds, count = sum(unit.seconds), len(unit.rows)
        record("sentence_seconds", seconds / count, step)
        record("sentences_per_second", count / seconds, step)
        record("tokens_per_second", unit.new_tokens / seconds, step)
        record("new_tokens", unit.new_tokens, step)
        first = np.percentile(unit.first_token_seconds, (50, 95, 99)).tolist()
        names = ("first_token_seconds", "first_token_p95_seconds", "first_token_p99_seconds")
        for name, value in zip(names, first, strict=True):
            record(name, value, step)
        if unit.drafted:
            record("acceptance_rate", unit.acceptance_rate, step)

    def _record_memory(
        self,
        batches: list[list[int]],
        prompter: Prompter,
        settings: DecodingSettings,
        clock: Clock,
        record: SampleRecorder,
    ) -> None:
        """Measured on the batch with the longest sources, which is decoded once more and not timed, because
        watching every tensor takes time.
        """
        from harness.tasks.support.timed_decoding import decode_batches
        from harness.telemetry.tensor_memory import TensorPeak

        longest = batches[-1]
        with TensorPeak() as peak:
            decode_batches([range(len(longest))], lambda _: prompter.batch(longest), settings, clock)
        record("peak_tensor_bytes", peak.peak_bytes)

    def _scored(
        self,
        texts: Texts,
        outputs: list[str],
        unit: DecodedTexts,
        prompter: Prompter,
        tokenizer: Tokenizer,
        record: SampleRecorder,
    ) -> Sentences:
        written = WrittenTexts(
            outputs=outputs,
            references=texts.references,
            output_likelihoods=prompter.likelihoods(unit.ended_rows),
            reference_likelihoods=prompter.likelihoods(texts.reference_ids),
            reference_bytes=texts.reference_bytes,
            tokenizer=tokenizer.digest,
            score_tokenizer=self.score_tokenizer,
        )
        statistics = statistics_by_score(written)
        for name, value in corpus_scores(written, statistics).items():
            record(name, value)
        return Sentences(
            sources=texts.sources,
            references=texts.references,
            outputs=tuple(outputs),
            unseen=unseen_words(texts.sources, self.training_sources()),
            scores={name: StoredStatistics.from_statistics(values) for name, values in statistics.items()},
        )


def _digest(rows: list[list[int]]) -> str:
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]
