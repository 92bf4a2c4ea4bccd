"""Task `train`: a language model from a recipe, and the checkpoint it leaves."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from harness.data.registry import CorpusRef
from harness.data.tokenizer import TokenizerConfig, tokenizer_config
from harness.errors import did_you_mean
from harness.tasks.base import Context, Report, Result, Task
from harness.training.optim import AdamW
from harness.training.schedule import CosineSchedule
from models.config import PRESETS, ChunkedLogits, LossConfig, ModelConfig

# The logits of a batch are by far the largest tensors of a small model: so they never all exist.
CHUNKED = LossConfig(logits=ChunkedLogits())
from models.cost import flops_per_token


class Train(Task):
    """Train a decoder-only model on packed windows of `length` tokens, `batch` of them an update."""

    name: ClassVar[str] = "train"
    metrics: ClassVar[tuple[str, ...]] = (
        "loss",
        "validation_loss",
        "gradient_norm",
        "learning_rate",
        "training_tokens_per_second",
        "peak_rss_bytes",
    )

    corpus: CorpusRef
    tokenizer: TokenizerConfig
    model: ModelConfig
    batch: int = Field(gt=0)
    length: int = Field(gt=0)
    updates: int = Field(gt=0)
    optimizer: AdamW
    schedule: CosineSchedule = CosineSchedule()
    clip: float | None = Field(default=1.0, gt=0.0)
    evaluate_every: int = Field(default=100, gt=0)
    evaluation_tokens: int = Field(default=16384, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _resolve_model(cls, document: Any) -> Any:
        """`model: {preset: nano}` becomes the preset's sizes with the vocabulary of the tokenizer."""
        if not isinstance(document, dict) or not isinstance(document.get("model"), dict):
            return document
        settings = dict(document["model"])
        if "preset" in settings:
            preset = settings.pop("preset")
            if preset not in PRESETS:
                hint = did_you_mean(str(preset), PRESETS)
                raise ValueError(f"model has no preset {preset!r}" + (f"; {hint}" if hint else ""))
            settings = {**PRESETS[preset], **settings}
        if "vocab_size" not in settings and "tokenizer" in document:
            settings["vocab_size"] = tokenizer_config(document["tokenizer"]).vocab_size
        return {**document, "model": settings}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.model.vocab_size != self.tokenizer.vocab_size:
            raise ValueError(
                f"model.vocab_size is the tokenizer's, {self.tokenizer.vocab_size}; leave it out"
            )
        if self.length > self.model.max_positions:
            raise ValueError(
                f"length {self.length} is beyond the model's max_positions {self.model.max_positions}"
            )
        if self.schedule.warmup > self.updates:
            raise ValueError(
                f"schedule.warmup {self.schedule.warmup} is longer than the run of {self.updates} updates"
            )
        return self

    def corpora(self) -> tuple[CorpusRef, ...]:
        return (self.corpus,)

    def flops(self) -> float:
        evaluations = -(-self.updates // self.evaluate_every)
        tokens = 3 * self.updates * self.batch * self.length + evaluations * self.evaluation_tokens
        return tokens * flops_per_token(self.model, keys=self.length)

    def run(self, context: Context, report: Report) -> Result:
        import torch

        from harness.data.batches import PackedBatches, evaluation_batches, token_array
        from harness.data.corpus import load_corpus
        from harness.data.tokenizer import build_tokenizer
        from harness.telemetry.memory import peak_rss_bytes
        from harness.training.checkpoint import save_checkpoint
        from harness.training.loop import Recipe, train
        from models.cost import parameter_count
        from models.init import build_model
        from models.loss import loss_of_hidden

        corpus = load_corpus(self.corpus)
        tokenizer = build_tokenizer(self.tokenizer, corpus)
        training = PackedBatches(
            token_array(corpus, "train", tokenizer), length=self.length, batch=self.batch, seed=context.seed
        )
        held_out = token_array(corpus, "valid", tokenizer)[: self.evaluation_tokens + 1]
        model = build_model(self.model, context.seed, device=context.device)
        torch.manual_seed(context.seed)
        trained = train(
            model,
            self.optimizer.build(model),
            iter(training),
            Recipe(
                updates=self.updates,
                schedule=self.schedule,
                clip=self.clip,
                evaluate_every=self.evaluate_every,
            ),
            evaluation=lambda: evaluation_batches(held_out, length=self.length, batch=self.batch),
            report=report,
            loss_of=lambda inputs, targets: loss_of_hidden(
                model.hidden(inputs), model.output, targets, CHUNKED
            ),
        )
        report("peak_rss_bytes", peak_rss_bytes() or math.nan)
        if trained.diverged:
            return Result(notes={"diverged": True}, spent={"updates": trained.updates})
        sha256 = save_checkpoint(
            context.checkpoint(self), model, {"train": self.plain(), "seed": context.seed}
        )
        return Result(
            outputs={"weights": sha256},
            spent={
                "updates": trained.updates,
                "training_tokens": trained.training_tokens,
                "evaluation_tokens": trained.evaluation_tokens,
                "parameters": parameter_count(self.model),
            },
        )
