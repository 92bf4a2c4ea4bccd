"""Task `evaluate`: the loss of a trained language model on held-out text and on its training text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from harness.config import Config, digest
from harness.data.batches import Ids, evaluation_batches, token_array
from harness.data.corpus import load_corpus
from harness.data.reference import CorpusRef
from harness.invariants.subjects import Subject
from harness.models.cost import parameter_count
from harness.tasks.base import Context, Result, SampleRecorder, Task
from harness.tasks.trained_model import TrainedDecoder

if TYPE_CHECKING:
    from harness.data.tokenizer import Tokenizer


class HeldOutText(Config):
    """The beginning of a split of running text."""

    corpus: CorpusRef
    split: str = "valid"


class Evaluate(Task):
    """The loss on the first `evaluation_tokens` of `text` and of the model's training text, in rows of the
    training's length.

    Dropout is off and every token has the same weight, in the precision of the training. Losses per token can
    be compared for one kind of text only, because a tokenizer needs more tokens for other kinds; therefore
    `bits_per_byte` is recorded as well.
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

    model: TrainedDecoder
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

        held_out, _, _ = self._texts()
        batches = evaluation_batches(held_out, length=self.model.train.length, batch=self.batch)
        tokens = torch.from_numpy(next(batches)[0]).to(context.device)
        return Subject(model=self.model.load(context), tokens=tokens)

    def run(self, context: Context, record: SampleRecorder) -> Result:
        from harness.training.evaluation import Evaluated, evaluate, perplexity
        from harness.training.objective import Objective

        held_out_ids, training_ids, tokenizer = self._texts()
        training = self.model.train
        model = self.model.load(context).to(training.precision.weights_dtype)
        objective = Objective(model, training.loss)

        def evaluated(tokens: Ids) -> Evaluated:
            batches = evaluation_batches(tokens, length=training.length, batch=self.batch)
            return evaluate(objective, batches, training.precision)

        held_out, trained_on = evaluated(held_out_ids), evaluated(training_ids)
        size = len(tokenizer.decode(held_out_ids[1:].tolist()).encode())
        record("training_text_loss", trained_on.loss)
        record("validation_loss", held_out.loss)
        record("validation_perplexity", perplexity(held_out.loss))
        record("bits_per_byte", held_out.loss * held_out.tokens / size / math.log(2.0))
        record("log_z", held_out.log_z)
        return Result(
            outputs={"losses": digest([held_out.loss, trained_on.loss])},
            spent={
                **self.model.spent,
                "evaluation_tokens": held_out.tokens + trained_on.tokens,
                "parameters": parameter_count(training.model),
            },
        )

    def _texts(self) -> tuple[Ids, Ids, Tokenizer]:
        """Ids of held-out text and of training text, each one more than `evaluation_tokens`, and their
        tokenizer.

        Raises CorpusError if a split does not exist or has fewer than two tokens.
        """

        training_corpus, tokenizer = self.model.train.corpus_and_tokenizer()
        count = self.evaluation_tokens + 1
        held_out = token_array(load_corpus(self.text.corpus), self.text.split, tokenizer)[:count]
        return held_out, token_array(training_corpus, "train", tokenizer)[:count], tokenizer
