"""Task `train`: trains a model as a recipe says, and writes its checkpoint if other trials need it."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from harness.config import FROM_LIST, MEASUREMENT, content
from harness.data.build_tokenizer import build_tokenizer
from harness.data.corpus import load_corpus
from harness.data.overlap import held_out_note
from harness.data.reference import CorpusRef, entire, reference_name
from harness.data.stream import Prefetched
from harness.data.tokenizer import BpeConfig, TokenizerConfig
from harness.data.vectors import token_vectors
from harness.invariants.subjects import TrainingSubject
from harness.metrics import ENERGY_METRICS
from harness.models.config import EncoderDecoderConfig, PretrainedEmbedding
from harness.models.cost import parameter_count
from harness.tasks.base import Context, Result, SampleRecorder, TimedWork
from harness.tasks.support.training_batches import BatchSizes, TrainingText, packed_text, paired_text
from harness.tasks.training_task import UPDATES_TO_CHECK, TokenBudget, TrainingTask
from harness.tasks.work import Work, fingerprint, fingerprint_of_texts
from harness.telemetry.clock import Span
from harness.telemetry.memory import peak_rss_bytes
from harness.training.checkpoint import parameters_digest, save_checkpoint, state_path
from harness.training.schedule import CosineSchedule, ScheduleConfig
from harness.training.steadiness import Divergence

if TYPE_CHECKING:
    from torch import Tensor

    from harness.data.content import Corpus
    from harness.data.tokenizer import Tokenizer
    from harness.training.loop import Batches, Trained, Training

EVALUATED = frozenset(
    {"validation_loss", "validation_perplexity", "bits_per_byte", "validation_loss_as_trained"}
)
"""Metrics that a training records at each evaluation."""

RECORDED_PER_UPDATE = frozenset({"loss", "gradient_norm", "clipped_gradient_norm"})


class Train(TrainingTask):
    """Trains for `updates` updates, skipped ones included: a decoder on packed windows of `length` tokens, an
    encoder-decoder on translations.

    Every evaluation is in float32. With `evaluate_as_trained` it is repeated in the training's own precision,
    as the metric `validation_loss_as_trained`.

    `workers` threads prepare `prefetch` batches ahead. Without workers, each batch is prepared when it is
    needed.

    `vectors` are the tokens' first vectors if model.embedding is pretrained (source 001 §1.1).

    A recipe may have 0 updates. Then the model that it starts from is stored, and nothing is evaluated.

    If other trials wait for the model, the state of the training is saved every `save_every` updates, and an
    interrupted training continues from there. With `keep`, the model is also stored after each of these
    numbers of updates, so that it can be compared with its final state.
    """

    name: ClassVar[str] = "train"
    metrics: ClassVar[tuple[str, ...]] = (
        "loss",
        "validation_loss",
        "validation_perplexity",
        "bits_per_byte",
        "validation_loss_as_trained",
        "log_z",
        "training_log_z",
        "gradient_norm",
        "clipped_gradient_norm",
        "zero_gradients",
        "skipped_updates",
        "gradient_spikes",
        "late_loss_spread",
        "learning_rate",
        "update_seconds",
        "data_seconds",
        "compile_seconds",
        "training_tokens_per_second",
        "mfu",
        "peak_rss_bytes",
        *ENERGY_METRICS,
    )

    text_settings: ClassVar[tuple[str, ...]] = (
        "corpus",
        "tokenizer",
        "model",
        "batch",
        "accumulate",
        "length",
        "evaluation_tokens",
    )

    corpus: CorpusRef
    """The text to train on."""

    tokenizer: TokenizerConfig
    """How text is divided into tokens."""

    updates: int = Field(ge=0)
    """The number of updates of the optimizer, skipped ones included."""

    schedule: ScheduleConfig = CosineSchedule()
    """How the learning rate changes during the training."""

    evaluate_every: Annotated[int, MEASUREMENT] = Field(default=100, gt=0)
    """The number of updates between two evaluations."""

    evaluation_tokens: Annotated[int, MEASUREMENT] = Field(default=16384, gt=0)
    """The number of tokens of the validation text that an evaluation reads."""

    evaluate_as_trained: Annotated[bool, MEASUREMENT] = Field(default=False, exclude_if=operator.not_)
    """Whether every evaluation is repeated in the precision of the training."""

    divergence: Annotated[Divergence | None, MEASUREMENT] = Divergence()
    """When a training counts as diverged and ends. null means that no training does."""

    workers: int = Field(default=0, ge=0)
    """The number of threads that prepare batches ahead. With 0, each batch is prepared when it is needed."""

    prefetch: int = Field(default=2, gt=0)
    """The number of batches that the workers prepare ahead."""

    save_every: int | None = Field(default=None, gt=0)
    """The number of updates after which the state is saved, so that an interrupted training can go on."""

    keep: Annotated[tuple[Annotated[int, Field(gt=0)], ...], FROM_LIST] = Field(
        default=(), exclude_if=operator.not_
    )
    """The model is also stored after each of these numbers of updates."""

    vectors: CorpusRef | None = Field(default=None, exclude_if=operator.not_)
    """The first vectors of the tokens, for a pretrained embedding."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.model.vocab_size != self.tokenizer.vocab_size:
            raise ValueError(
                f"model.vocab_size must be the tokenizer's {self.tokenizer.vocab_size}; leave it out"
            )
        if isinstance(self.model, EncoderDecoderConfig) and self.model.source_vocab_size is not None:
            raise ValueError("sources and targets have the same tokenizer; leave model.source_vocab_size out")
        if (self._pretrained is not None) != (self.vectors is not None):
            raise ValueError(
                "vectors need model.embedding.kind pretrained, and it needs vectors; give both or neither"
            )
        if self.schedule.least_updates > self.updates:
            raise ValueError(
                f"schedule.{self._longest_part()} is longer than the run of {self.updates} updates"
            )
        if self.keep and any(later <= earlier for earlier, later in pairwise((0, *self.keep, self.updates))):
            raise ValueError(
                f"keep must be increasing numbers below {self.updates}, the number of updates; "
                "the last model is always kept"
            )
        if self.ranks > 1 and self.save_every is not None:
            raise ValueError(
                "save_every cannot be combined with several ranks (parallel): the state of the training that "
                "is saved is that of one process"
            )
        if self.keep and self.save_every is not None:
            raise ValueError(
                "keep and save_every cannot be combined: a resumed training has lost the models that it kept"
            )
        if self.optimizer.needs_constant_schedule and self.schedule.kind != "constant":
            raise ValueError(
                f"optimizer {self.optimizer.kind} needs schedule.kind constant (a warm-up is allowed), "
                f"not {self.schedule.kind}"
            )
        return self

    def recorded_steps(self, metric: str) -> Sequence[int]:
        if not self.updates:
            return ()
        if metric in EVALUATED:
            return sorted(
                {*range(self.evaluate_every - 1, self.updates, self.evaluate_every), self.updates - 1}
            )
        return range(self.updates) if metric in RECORDED_PER_UPDATE else (self.updates - 1,)

    def _longest_part(self) -> str:
        parts = {name: getattr(self.schedule, name, 0) for name in ("warmup", "flat", "decay")}
        return " + ".join(f"{name} {length}" for name, length in parts.items() if length)

    def corpora(self) -> tuple[CorpusRef, ...]:
        return (self.corpus,) if self.vectors is None else (self.corpus, self.vectors)

    def check_text(self) -> None:
        corpus, tokenizer = self.corpus_and_tokenizer()
        self._text(0, (corpus, tokenizer))
        held_out_note(corpus, corpus, "valid")  # measured here, and not while trials are timed

    def expected_work(self) -> Work:
        name, size = reference_name(entire(self.corpus)), self.evaluation_tokens
        held_out = [content(entire(self.corpus)), size, self.expected_text["tokenizer"]]
        return {
            "updates": self.updates,
            "training_tokens": self.updates * self.update_tokens,
            "evaluation_tokens": -(-self.updates // self.evaluate_every) * size,
            "parameters": parameter_count(self.model),
            "length": self.length,
            "data_workers": self.workers,
            **self.expected_text,
            "evaluation_text": fingerprint(f"{name} valid", held_out),
        }

    @property
    def expected_text(self) -> Work:
        """What is read, and in which order, by the settings: the tokenizer, and the text of the training."""
        corpora = [content(reference) for reference in self.corpora()]
        tokenizer = [content(self.tokenizer), corpora[0] if isinstance(self.tokenizer, BpeConfig) else None]
        return {
            "tokenizer": fingerprint(self._tokenizer_name, tokenizer),
            "training_text": fingerprint(reference_name(self.corpus), [corpora, self._order]),
        }

    def read_text(self, corpus: Corpus, tokenizer: Tokenizer) -> Work:
        """The same by what was read."""
        vectors = [] if self.vectors is None else [load_corpus(self.vectors).digest]
        text = [corpus.digest, *vectors, self._order]
        return {
            "tokenizer": fingerprint(self._tokenizer_name, tokenizer.digest),
            "training_text": fingerprint(reference_name(self.corpus), text),
        }

    @property
    def _tokenizer_name(self) -> str:
        return f"{self.tokenizer.kind} {self.tokenizer.vocab_size}"

    @property
    def _order(self) -> list[Any]:
        """On what the order of a training's text depends, besides the text and the seed. Windows of running
        text have the same order in batches of every size.
        """
        if not isinstance(self.model, EncoderDecoderConfig):
            return [self.length]
        return [self.length, self.micro_batch, isinstance(self.batch, TokenBudget)]

    def flops(self) -> float:
        evaluations = -(-self.updates // self.evaluate_every)
        rows = 3 * self.updates * self.rows + evaluations * self.evaluation_tokens / self.length
        return rows * self.row_flops()

    def run(self, context: Context, record: SampleRecorder) -> Result:
        import torch

        from harness.machine.matmul import matmul_peaks
        from harness.models.init import build_model
        from harness.training.loop import Costs, LoopSettings, Training
        from harness.training.parallel.build import build_layout

        layout = build_layout(self.parallel)
        corpus, tokenizer = self.corpus_and_tokenizer()
        text = self._text(context.seed, (corpus, tokenizer))
        data: Batches = text.training
        if self.workers:
            data = Prefetched(text.training, workers=self.workers, ahead=self.prefetch)
        model = build_model(self.model, context.seed, device=context.device, vectors=self.word_vectors())
        updater = self.updater(model, layout)
        peaks = matmul_peaks(self.precision.products_dtype, context.device)
        evaluated_text = text.evaluated()
        torch.manual_seed(layout.seed(context.seed))
        if self.compile:
            record("compile_seconds", self.compiled(updater, text.training.first()))
        training = Training(
            updater,
            data,
            LoopSettings(
                updates=self.updates,
                schedule=self.schedule,
                accumulate=self.accumulate,
                evaluate_every=self.evaluate_every,
                divergence=self.divergence,
                save_every=self.save_every,
                keep=self.keep if context.shares(self) else (),
                as_trained=self.evaluate_as_trained,
            ),
            evaluation=text.evaluation,
            report=record,
            costs=Costs(
                chance=math.log(self.model.vocab_size),
                flops_of=self.training_flops,
                peak_flops=self.ranks * max(peaks.values()),
                evaluated_bytes=evaluated_text.size,
            ),
        )
        begin = time.monotonic()
        trained = self._run_saved(training, context)
        span = Span(begin, time.monotonic())
        if isinstance(data, Prefetched):
            data.close()
        record("peak_rss_bytes", peak_rss_bytes() or math.nan)
        name = f"{reference_name(entire(self.corpus))} valid"
        read = {
            **self.read_text(corpus, tokenizer),
            "evaluation_text": fingerprint_of_texts(name, (*evaluated_text.targets, *evaluated_text.sources)),
        }
        notes = {**held_out_note(corpus, corpus, "valid"), "peak_flops": peaks}
        result = self._result(context, training, trained, read, notes)
        timed = TimedWork(span=span, tokens=trained.training_tokens) if self.updates else None
        return replace(result, timed=timed)

    def corpus_and_tokenizer(self) -> tuple[Corpus, Tokenizer]:
        """The training's corpus, and the tokenizer that is learnt from it."""
        corpus = load_corpus(self.corpus)
        return corpus, build_tokenizer(self.tokenizer, corpus)

    def _text(self, seed: int, read: tuple[Corpus, Tokenizer] | None = None) -> TrainingText:
        """The corpus in batches. `read` are the corpus and its tokenizer if they are loaded already. Raises
        CorpusError if the corpus is shorter than one update.
        """

        sizes = BatchSizes(
            update=self.batch_size,
            micro_batch=self.micro_batch,
            by_tokens=isinstance(self.batch, TokenBudget),
            length=self.length,
            evaluation_tokens=self.evaluation_tokens,
        )
        training_text = paired_text if isinstance(self.model, EncoderDecoderConfig) else packed_text
        corpus, tokenizer = read or self.corpus_and_tokenizer()
        return training_text(sizes, corpus, tokenizer, seed)

    @property
    def _pretrained(self) -> PretrainedEmbedding | None:
        """The embedding of the model, if its vectors come from a file."""
        embedding = getattr(self.model, "embedding", None)
        return embedding if isinstance(embedding, PretrainedEmbedding) else None

    def word_vectors(self) -> Tensor | None:
        """The tokens' first vectors, or None for a model that starts from random ones.

        Raises CorpusError if they do not fit the model, or if no token has a vector.
        """
        pretrained = self._pretrained
        if self.vectors is None or pretrained is None:
            return None
        import torch

        _, tokenizer = self.corpus_and_tokenizer()
        width = pretrained.width
        return torch.from_numpy(token_vectors(load_corpus(self.vectors), tokenizer, width=width))

    def _run_saved(self, training: Training, context: Context) -> Trained:
        """Run the training. If other trials wait for the model, an interrupted attempt is continued."""
        if self.save_every is None or not context.shares(self):
            return training.run()

        from harness.training.state import resume, save_state

        path = state_path(context.checkpoint(self))
        recipe = {"train": self.plain(), "seed": context.seed}
        if path.exists():
            resume(path, training, recipe)
        trained = training.run(partial(save_state, path, training, recipe))
        path.unlink(missing_ok=True)
        return trained

    def _result(
        self, context: Context, training: Training, trained: Trained, read: Work, notes: dict[str, Any]
    ) -> Result:
        from harness.training.optim import evaluated

        if trained.diverged:
            return Result(notes={**notes, "diverged": True}, spent={"updates": trained.updates})
        updater = training.updater
        with evaluated(updater.optimizer):
            model = updater.layout.gathered(updater.objective.model)
            if context.shares(self) and updater.layout.rank == 0:
                recipe = {"train": self.plain(), "seed": context.seed}
                weights = save_checkpoint(
                    context.checkpoint(self), model, recipe, earlier=training.earlier_models
                )
            else:
                weights = parameters_digest(model)
        return Result(
            outputs={"weights": weights},
            spent={
                "updates": trained.applied_updates,
                "training_tokens": trained.training_tokens,
                "evaluation_tokens": trained.evaluation_tokens,
                "parameters": parameter_count(self.model),
                "flops": trained.flops,
                "length": self.length,
                "data_workers": self.workers,
                **read,
            },
            notes={
                **notes,
                "skipped_updates": trained.updates - trained.applied_updates,
                "master_weights": self.precision.master_weights,
            },
        )

    def subject(self, context: Context) -> TrainingSubject:
        """With the micro-batches of the first updates."""
        data = self._text(context.seed).training
        first = [next(data) for _ in range(UPDATES_TO_CHECK * self.accumulate)]
        return self.training_subject(context, first, self.schedule)
