"""Task `generate`: greedy continuation of prompts from a test split, timed apart for prefill and decode.

One unit is one complete generation of the same fixed work; a trial's value is the median over its units.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from harness.data.reference import CorpusRef
from harness.invariants.subjects import DecodingSubject, Subject
from harness.models.config import CacheKind
from harness.models.cost import flops_per_token
from harness.tasks.base import Context, Report, Result, Task
from harness.tasks.trained_model import DecoderRecipe, Prompts
from harness.telemetry.clock import WarmUp

if TYPE_CHECKING:
    from torch import Tensor

    from harness.models.cache import Cache
    from harness.models.decoding.base import Decodable
    from harness.telemetry.clock import Clock


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
    )

    offers: ClassVar[type[Subject] | None] = DecodingSubject

    model: DecoderRecipe
    prompts: Prompts
    new_tokens: int = Field(ge=2)
    cache: CacheKind = "none"
    units: int = Field(default=3, gt=0)
    warm_up: WarmUp = WarmUp(at_most=4, window=2)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        needed, most = self.prompts.tokens + self.new_tokens, self.model.decoder.max_positions
        if needed > most:
            raise ValueError(
                f"prompts.tokens {self.prompts.tokens} + new_tokens {self.new_tokens} is beyond the model's max_positions {most}"
            )
        return self

    def corpora(self) -> tuple[CorpusRef, ...]:
        return (*self.model.train.corpora(), self.prompts.corpus)

    def trainings(self) -> tuple[Task, ...]:
        return (self.model.train,)

    def flops(self) -> float:
        model, end = self.model.decoder, self.prompts.tokens + self.new_tokens
        lengths = range(self.prompts.tokens, end) if self.cache == "none" else (end,)
        generation = sum(length * flops_per_token(model, keys=length) for length in lengths)
        return self.prompts.count * generation * (self.warm_up.at_most + self.units + 1)

    def subject(self, context: Context) -> DecodingSubject:
        import torch

        from harness.data.batches import prompts, token_array
        from harness.data.corpus import load_corpus
        from harness.data.tokenizer import build_tokenizer
        from harness.training.checkpoint import load_model

        training = self.model.train
        tokenizer = build_tokenizer(training.tokenizer, load_corpus(training.corpus))
        tokens = token_array(load_corpus(self.prompts.corpus), self.prompts.split, tokenizer)
        chosen = prompts(tokens, count=self.prompts.count, length=self.prompts.tokens, seed=context.seed)
        return DecodingSubject(
            model=load_model(context.checkpoint(training), self.model.decoder, after=self.model.kept).to(
                context.device
            ),
            tokens=torch.from_numpy(chosen).to(context.device),
            new_tokens=self.new_tokens,
            cache=self.cache,
        )

    def run(self, context: Context, report: Report) -> Result:
        from harness.models.cost import parameter_count
        from harness.models.cpu_decoding import prepare_for_decoding
        from harness.telemetry.clock import Clock, time_units
        from harness.telemetry.memory import peak_rss_bytes, reset_peak_rss

        subject = self.subject(context)
        subject = replace(subject, model=prepare_for_decoding(subject.model))
        clock = Clock(context.device)
        reset_peak_rss()
        units: list[_Unit] = []
        timing = time_units(
            lambda: units.append(_generate(subject.model, subject, clock)),
            count=self.units,
            clock=clock,
            warm_up=self.warm_up,
        )
        report("peak_rss_bytes", peak_rss_bytes() or math.nan)
        for step, unit in enumerate(units[-self.units :]):
            self._report_speed(unit, report, step)
        self._report_memory(subject, context, report)
        digests = sorted({unit.digest for unit in units})
        rows = self.prompts.count
        return Result(
            outputs={"tokens": ",".join(digests)},
            spent={
                **self.model.spent,
                "prompt_tokens": rows * self.prompts.tokens,
                "new_tokens": rows * self.new_tokens,
                "parameters": parameter_count(self.model.decoder),
            },
            notes={"warm_up_units": len(timing.warm_up_seconds), "steady": timing.steady},
        )

    def _report_speed(self, unit: _Unit, report: Report, step: int) -> None:
        rows = self.prompts.count
        report("first_token_seconds", unit.prefill_seconds, step)
        report("prefill_tokens_per_second", rows * self.prompts.tokens / unit.prefill_seconds, step)
        report("decode_tokens_per_second", rows * (self.new_tokens - 1) / unit.decode_seconds, step)
        report(
            "tokens_per_second", rows * self.new_tokens / (unit.prefill_seconds + unit.decode_seconds), step
        )

    def _report_memory(self, subject: DecodingSubject, context: Context, report: Report) -> None:
        """From one more generation, off the clock: watching every tensor costs time."""
        from harness.models.cost import cache_bytes
        from harness.telemetry.clock import Clock
        from harness.telemetry.memory import device_peak_bytes, reset_device_peak
        from harness.telemetry.tensor_memory import TensorPeak

        watched = _CacheWatch(subject.model)
        reset_device_peak(context.device)
        before = device_peak_bytes(context.device)
        with TensorPeak() as peak:
            _generate(watched, subject, Clock(context.device))
        after = device_peak_bytes(context.device)
        report("peak_tensor_bytes", peak.peak_bytes if before is None or after is None else after - before)
        report("cache_bytes", 0 if watched.cache is None else watched.cache.nbytes)
        formula = cache_bytes(
            self.model.decoder,
            self.cache,
            batch=self.prompts.count,
            prompt=self.prompts.tokens,
            new_tokens=self.new_tokens,
            bytes_per_value=subject.model.embedding.weight.element_size(),
        )
        report("cache_bytes_formula", formula)


class _Unit(NamedTuple):
    prefill_seconds: float
    decode_seconds: float
    digest: str


def _generate(model: Decodable, subject: DecodingSubject, clock: Clock) -> _Unit:
    """One generation; its tokens are brought to the host and hashed off the clock."""
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


class _CacheWatch:
    """A model that remembers the cache it made."""

    def __init__(self, model: Decodable) -> None:
        self._model = model
        self.cache: Cache | None = None

    @property
    def max_positions(self) -> int:
        return self._model.max_positions

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        self.cache = self._model.new_cache(kind, batch=batch, capacity=capacity)
        return self.cache

    def next_logits(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        return self._model.next_logits(tokens, cache=cache, valid=valid)
