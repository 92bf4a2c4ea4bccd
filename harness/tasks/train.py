"""Task `train`: a model from a recipe, and the checkpoint it leaves where it is shared."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, model_validator

from harness.data.registry import CorpusRef
from harness.data.tokenizer import TokenizerConfig, tokenizer_config
from harness.subject import TrainingSubject
from harness.tasks.base import Context, Report, Result
from harness.tasks.training import UPDATES_TO_CHECK, TrainingTask, with_preset
from harness.training.recorder import Divergence
from harness.training.schedule import CosineSchedule, ScheduleConfig
from models.cost import flops_per_token

if TYPE_CHECKING:
    from harness.training.loop import Trained, Training
    from models.transformer import Transformer


class Train(TrainingTask):
    """Train a decoder-only model on packed windows of `length` tokens, for `updates` updates tried.

    Where others wait for the model, the state is saved every `save_every` updates, and an interrupted training goes on.
    """

    name: ClassVar[str] = "train"
    metrics: ClassVar[tuple[str, ...]] = (
        "loss",
        "validation_loss",
        "validation_perplexity",
        "log_z",
        "gradient_norm",
        "clipped_gradient_norm",
        "zero_gradients",
        "skipped_updates",
        "learning_rate",
        "update_seconds",
        "data_seconds",
        "compile_seconds",
        "training_tokens_per_second",
        "mfu",
        "peak_rss_bytes",
    )

    corpus: CorpusRef
    tokenizer: TokenizerConfig
    updates: int = Field(gt=0)
    schedule: ScheduleConfig = CosineSchedule()
    evaluate_every: int = Field(default=100, gt=0)
    evaluation_tokens: int = Field(default=16384, gt=0)
    divergence: Divergence | None = Divergence()
    save_every: int | None = Field(default=None, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _resolve_model(cls, document: Any) -> Any:
        """`model: {preset: nano}` becomes the preset's sizes with the vocabulary of the tokenizer."""
        if not isinstance(document, dict) or not isinstance(document.get("model"), dict):
            return document
        settings = with_preset(document["model"])
        if "vocab_size" not in settings and "tokenizer" in document:
            settings["vocab_size"] = tokenizer_config(document["tokenizer"]).vocab_size
        return {**document, "model": settings}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.model.vocab_size != self.tokenizer.vocab_size:
            raise ValueError(
                f"model.vocab_size is the tokenizer's, {self.tokenizer.vocab_size}; leave it out"
            )
        if self.schedule.least_updates > self.updates:
            raise ValueError(
                f"schedule.{self._longest_part()} is longer than the run of {self.updates} updates"
            )
        if self.optimizer.kind == "schedule-free-adamw" and self.schedule.kind != "constant":
            raise ValueError(
                f"optimizer schedule-free-adamw needs schedule.kind constant (a warm-up is allowed), not {self.schedule.kind}"
            )
        return self

    def _longest_part(self) -> str:
        parts = {name: getattr(self.schedule, name, 0) for name in ("warmup", "flat", "decay")}
        return " + ".join(f"{name} {length}" for name, length in parts.items() if length)

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
        from harness.telemetry.matmul_peak import matmul_peak
        from harness.telemetry.memory import peak_rss_bytes
        from harness.training.loop import Costs, Recipe, Training
        from models.init import build_model

        corpus = load_corpus(self.corpus)
        tokenizer = build_tokenizer(self.tokenizer, corpus)
        rows, length = self.micro_batch, self.length
        data = PackedBatches(
            token_array(corpus, "train", tokenizer), length=length, batch=rows, seed=context.seed
        )
        held_out = token_array(corpus, "valid", tokenizer)[: self.evaluation_tokens + 1]
        model = build_model(self.model, context.seed, device=context.device)
        updater = self.updater(model)
        peak = matmul_peak(self.precision.products_dtype, context.device)
        torch.manual_seed(context.seed)
        if self.compile:
            report("compile_seconds", self.compiled(updater, data.first()))
        training = Training(
            updater,
            data,
            Recipe(
                updates=self.updates,
                schedule=self.schedule,
                accumulate=self.accumulate,
                evaluate_every=self.evaluate_every,
                divergence=self.divergence,
                save_every=self.save_every,
            ),
            evaluation=lambda: evaluation_batches(held_out, length=length, batch=rows),
            report=report,
            costs=Costs(
                chance=math.log(self.model.vocab_size), flops_of=self.training_flops, peak_flops=peak
            ),
        )
        trained = self._run_saved(training, context)
        report("peak_rss_bytes", peak_rss_bytes() or math.nan)
        return self._result(context, model, trained)

    def _run_saved(self, training: Training, context: Context) -> Trained:
        """Where others wait for the model, an interrupted attempt is gone on with."""
        if self.save_every is None or not context.shares(self):
            return training.run()
        from functools import partial

        from harness.training.state import resume, save_state

        folder = context.checkpoint(self)
        path = folder.with_name(f"{folder.name}.state")
        recipe = {"train": self.plain(), "seed": context.seed}
        if path.exists():
            resume(path, training, recipe)
        trained = training.run(partial(save_state, path, training, recipe))
        path.unlink(missing_ok=True)
        return trained

    def _result(self, context: Context, model: Transformer, trained: Trained) -> Result:
        from harness.training.checkpoint import parameters_digest, save_checkpoint
        from models.cost import parameter_count

        if trained.diverged:
            return Result(notes={"diverged": True}, spent={"updates": trained.updates})
        if context.shares(self):
            recipe = {"train": self.plain(), "seed": context.seed}
            weights = save_checkpoint(context.checkpoint(self), model, recipe)
        else:
            weights = parameters_digest(model)
        return Result(
            outputs={"weights": weights},
            spent={
                "updates": trained.updates,
                "training_tokens": trained.training_tokens,
                "evaluation_tokens": trained.evaluation_tokens,
                "parameters": parameter_count(self.model),
            },
            notes={
                "applied_updates": trained.applied_updates,
                "master_weights": self.precision.master_weights,
            },
        )

    def subject(self, context: Context) -> TrainingSubject:
        """With the micro-batches of the first updates."""
        from harness.data.batches import PackedBatches, token_array
        from harness.data.corpus import load_corpus
        from harness.data.tokenizer import build_tokenizer

        corpus = load_corpus(self.corpus)
        tokens = token_array(corpus, "train", build_tokenizer(self.tokenizer, corpus))
        data = PackedBatches(tokens, length=self.length, batch=self.micro_batch, seed=context.seed)
        first = [next(data) for _ in range(UPDATES_TO_CHECK * self.accumulate)]
        return self.training_subject(context, first, self.schedule)
