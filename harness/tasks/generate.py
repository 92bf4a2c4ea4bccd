"""Task `generate`: greedy continuation of prompts from a test split. Prefill and decoding are timed apart.

A unit is one complete generation, and all units do the same work. A trial's value is the median of its units.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from harness.config import MEASUREMENT
from harness.data.reference import CorpusRef
from harness.invariants.subjects import DecodingSubject, Subject
from harness.metrics import ENERGY_METRICS
from harness.models.config import CacheKind
from harness.models.cost import cache_bytes, flops_per_token
from harness.tasks.base import Context, Result, SampleRecorder, Task, TimedWork
from harness.tasks.trained_model import Prompts, TrainedDecoder
from harness.tasks.work import Work, fingerprint, fingerprint_of_texts
from harness.telemetry.clock import Clock, WarmUp, time_units
from harness.telemetry.memory import device_peak_bytes, peak_rss_bytes, reset_device_peak, reset_peak_rss

if TYPE_CHECKING:
    from harness.data.tokenizer import Tokenizer
    from harness.models.decoding.base import Decodable


class Generate(Task):
    """Greedy decoding of `new_tokens` tokens for a batch of prompts with one kind of key-value cache."""

    name: ClassVar[str] = "generate"
    products: ClassVar[Literal["large", "small"]] = "small"
    metrics: ClassVar[tuple[str, ...]] = (
        "first_token_seconds",
        "prefill_tokens_per_second",
        "decode_tokens_per_second",
        "tokens_per_second",
        "cache_bytes",
        "cache_bytes_formula",
        "peak_tensor_bytes",
        "peak_rss_bytes",
        *ENERGY_METRICS,
    )

    offers: ClassVar[type[Subject] | None] = DecodingSubject

    model: TrainedDecoder
    """The trained model that continues the prompts."""

    prompts: Prompts
    """The beginnings of text that the model continues."""

    new_tokens: int = Field(ge=2)
    """The number of tokens that are generated for each prompt."""

    cache: CacheKind = "none"
    """The kind of key-value cache. none computes everything again for each token."""

    units: Annotated[int, MEASUREMENT] = Field(default=3, gt=0)
    """The number of generations that are timed in a trial."""

    warm_up: Annotated[WarmUp, MEASUREMENT] = WarmUp(at_most=4, window=2)
    """The rule for the generations that run before anything is timed."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self.prompts.check_room(self.new_tokens, self.model.decoder.max_positions)
        self.model.check_cache(self.cache)
        return self

    def corpora(self) -> tuple[CorpusRef, ...]:
        return (*self.model.train.corpora(), self.prompts.corpus)

    def trainings(self) -> tuple[Task, ...]:
        return (self.model.train,)

    def expected_work(self) -> Work:
        expected = self.model.expected_work
        return {
            **expected,
            **self._counted,
            "prompts": fingerprint(self.prompts.name, [self.prompts.expected_text, expected["tokenizer"]]),
        }

    @property
    def _counted(self) -> Work:
        rows = self.prompts.count
        return {
            "batch": rows,
            "prompt_tokens": rows * self.prompts.tokens,
            "new_tokens": rows * self.new_tokens,
        }

    def flops(self) -> float:
        model, end = self.model.decoder, self.prompts.tokens + self.new_tokens
        lengths = range(self.prompts.tokens, end) if self.cache == "none" else (end,)
        generation = sum(length * flops_per_token(model, keys=length) for length in lengths)
        return self.prompts.count * generation * (self.warm_up.at_most + self.units + 1)

    def subject(self, context: Context) -> DecodingSubject:
        _, tokenizer = self.model.train.corpus_and_tokenizer()
        return self._subject(context, tokenizer)

    def _subject(self, context: Context, tokenizer: Tokenizer) -> DecodingSubject:
        import torch

        windows = self.prompts.windows(tokenizer, length=self.prompts.tokens, seed=context.seed)
        return DecodingSubject(
            model=self.model.load(context),
            tokens=torch.from_numpy(windows).to(context.device),
            new_tokens=self.new_tokens,
            cache=self.cache,
        )

    def run(self, context: Context, record: SampleRecorder) -> Result:
        from harness.models.cpu_decoding import prepare_for_decoding

        corpus, tokenizer = self.model.train.corpus_and_tokenizer()
        subject = self._subject(context, tokenizer)
        loaded: Any = subject.model
        subject = replace(subject, model=prepare_for_decoding(loaded))
        clock = Clock(context.device)
        reset_peak_rss()
        units: list[_Unit] = []
        timing = time_units(
            lambda: units.append(_generate(subject.model, subject, clock)),
            count=self.units,
            clock=clock,
            warm_up=self.warm_up,
        )
        record("peak_rss_bytes", peak_rss_bytes() or math.nan)
        for step, unit in enumerate(units[-self.units :]):
            self._record_speed(unit, record, step)
        self._record_memory(subject, context, record)
        digests = sorted({unit.digest for unit in units})
        prompts = [tokenizer.decode(row) for row in subject.tokens.tolist()]
        return Result(
            outputs={"tokens": ",".join(digests)},
            spent={
                **self.model.work(corpus, tokenizer),
                **self._counted,
                "prompts": fingerprint_of_texts(self.prompts.name, prompts),
            },
            notes={"warm_up_units": len(timing.warm_up_seconds), "steady": timing.steady},
            timed=TimedWork(span=timing.span, tokens=self.units * self.prompts.count * self.new_tokens),
        )

    def _record_speed(self, unit: _Unit, record: SampleRecorder, step: int) -> None:
        rows = self.prompts.count
        record("first_token_seconds", unit.prefill_seconds, step)
        record("prefill_tokens_per_second", rows * self.prompts.tokens / unit.prefill_seconds, step)
        record("decode_tokens_per_second", rows * (self.new_tokens - 1) / unit.decode_seconds, step)
        record(
            "tokens_per_second", rows * self.new_tokens / (unit.prefill_seconds + unit.decode_seconds), step
        )

    def _record_memory(self, subject: DecodingSubject, context: Context, record: SampleRecorder) -> None:
        """Measured in one more generation that is not timed, because watching every tensor takes time."""
        from harness.tasks.support.timed_decoding import CacheWatch
        from harness.telemetry.tensor_memory import TensorPeak

        watched = CacheWatch(subject.model)
        reset_device_peak(context.device)
        before = device_peak_bytes(context.device)
        with TensorPeak() as peak:
            _generate(watched, subject, Clock(context.device))
        after = device_peak_bytes(context.device)
        record("peak_tensor_bytes", peak.peak_bytes if before is None or after is None else after - before)
        record("cache_bytes", 0 if watched.cache is None else watched.cache.nbytes)
        formula = self._cache_bytes(next(subject.model.parameters()).element_size())
        record("cache_bytes_formula", formula)

    def closed_form(self, metric: str) -> float | None:
        if metric != "cache_bytes_formula":
            return None
        return self._cache_bytes(self.model.train.precision.bytes_per_weight)

    def _cache_bytes(self, bytes_per_value: int) -> int:
        return cache_bytes(
            self.model.decoder,
            self.cache,
            batch=self.prompts.count,
            prompt=self.prompts.tokens,
            new_tokens=self.new_tokens,
            bytes_per_value=bytes_per_value,
        )


class _Unit(NamedTuple):
    prefill_seconds: float
    decode_seconds: float
    digest: str


def _generate(model: Decodable, subject: DecodingSubject, clock: Clock) -> _Unit:
    """One generation. Its tokens are copied to the host and hashed after the clock has stopped."""
    import torch

    from harness.models.decoding.greedy import greedy_steps

    start = clock.now_ns()
    steps = greedy_steps(model, subject.tokens, new_tokens=subject.new_tokens, cache=subject.cache)
    tokens = [next(steps)]
    first = clock.now_ns()
    tokens.extend(steps)
    end = clock.now_ns()
    digest = hashlib.sha256(torch.stack(tokens, dim=1).cpu().numpy().tobytes()).hexdigest()[:16]
    return _Unit((first - start) / 1e9, (end - first) / 1e9, digest)
