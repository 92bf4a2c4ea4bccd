"""Task `evaluate`: the loss of a trained language model on held-out text, and on the text that it was trained
on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from harness.config import Config, digest
from harness.data.reference import CorpusRef
from harness.invariants.subjects import Subject
from harness.tasks.base import Context, Report, Result, Task
from harness.tasks.trained_model import DecoderRecipe

if TYPE_CHECKING:
    from harness.data.batches import Ids
    from harness.data.tokenizer import Tokenizer


class HeldOutText(Config):
    """The beginning of a split of running text."""

    corpus: CorpusRef
    split: str = "valid"


class Evaluate(Task):
    """The first `evaluation_tokens` of `text` and of the model's training text, in rows of the training's
    length.

    Dropout is off and every token weighs alike, in the precision of the training. Losses a token compare
    texts of one kind only: of another, a tokenizer needs more tokens for the same text, so `bits_per_byte`
    are there as well.
    """

    name: ClassVar[str] = "evaluate"
    metrics: ClassVar[tuple[str, ...]] = (
        "training_text_loss",
        "validation_loss",
        "validation_perplexity",
        "bits_per_byte",
        "log_z",
    )
    offers: ClassVar[type[Subject] | None] = Subject

    model: DecoderRecipe
    text: HeldOutText
    evaluation_tokens: int = Field(default=16384, gt=0)
    batch: int = Field(default=16, gt=0)

    def corpora(self) -> tuple[CorpusRef, ...]:
        return (*self.model.train.corpora(), self.text.corpus)

    def trainings(self) -> tuple[Task, ...]:
        return (self.model.train,)

    def flops(self) -> float:
        return 2 * self.evaluation_tokens / self.model.train.length * self.model.train.row_flops()

    def subject(self, context: Context) -> Subject:
        import torch

        from harness.data.batches import evaluation_batches
        from harness.training.checkpoint import load_model

        held_out, _, _ = self._texts()
        training = self.model.train
        batches = evaluation_batches(held_out, length=training.length, batch=self.batch)
        model = load_model(context.checkpoint(training), self.model.decoder, after=self.model.kept)
        return Subject(
            model=model.to(context.device), tokens=torch.from_numpy(next(batches)[0]).to(context.device)
        )

    def run(self, context: Context, report: Report) -> Result:
        from harness.data.batches import evaluation_batches
        from harness.models.cost import parameter_count
        from harness.training.checkpoint import load_model
        from harness.training.evaluation import Evaluated, evaluate, perplexity
        from harness.training.objective import Objective

        held_out, known, tokenizer = self._texts()
        training = self.model.train
        model = load_model(context.checkpoint(training), self.model.decoder, after=self.model.kept)
        objective = Objective(model.to(context.device, training.precision.weights_dtype), training.loss)

        def evaluated(tokens: Ids) -> Evaluated:
            batches = evaluation_batches(tokens, length=training.length, batch=self.batch)
            return evaluate(objective, batches, training.precision)

        found, of_training = evaluated(held_out), evaluated(known)
        size = len(tokenizer.decode(held_out[1:].tolist()).encode())
        report("training_text_loss", of_training.loss)
        report("validation_loss", found.loss)
        report("validation_perplexity", perplexity(found.loss))
        report("bits_per_byte", found.loss * found.tokens / size / math.log(2.0))
        report("log_z", found.log_z)
        return Result(
            outputs={"losses": digest([found.loss, of_training.loss])},
            spent={
                **self.model.spent,
                "evaluation_tokens": found.tokens + of_training.tokens,
                "parameters": parameter_count(training.model),
            },
        )

    def _texts(self) -> tuple[Ids, Ids, Tokenizer]:
        """Held-out ids, ids that were trained on, each of one more than is asked for, and their tokenizer.

        CorpusError: no such split, or one of fewer than two tokens.
        """
        from harness.data.batches import token_array
        from harness.data.corpus import load_corpus
        from harness.data.tokenizer import build_tokenizer

        learnt = load_corpus(self.model.train.corpus)
        tokenizer = build_tokenizer(self.model.train.tokenizer, learnt)
        most = self.evaluation_tokens + 1
        held_out = token_array(load_corpus(self.text.corpus), self.text.split, tokenizer)[:most]
        return held_out, token_array(learnt, "train", tokenizer)[:most], tokenizer
