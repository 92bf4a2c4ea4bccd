"""Task `evaluate`: the loss of a trained language model on held-out text and on its training text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from harness.config import MEASUREMENT, Config, content, digest
from harness.data.batches import Ids, evaluation_batches, token_array
from harness.data.corpus import load_corpus
from harness.data.overlap import held_out_note
from harness.data.reference import CorpusRef, entire, reference_name
from harness.invariants.subjects import Subject
from harness.tasks.base import Context, Result, SampleRecorder, Task
from harness.tasks.trained_model import TrainedDecoder
from harness.tasks.work import Work, fingerprint, fingerprint_of_texts

if TYPE_CHECKING:
    from harness.data.content import Corpus
    from harness.data.tokenizer import Tokenizer


class HeldOutText(Config):
    """The beginning of a split of running text."""

    corpus: CorpusRef
    """The corpus that the text comes from."""

    split: str = "valid"
    """The split of the corpus: train, valid or test."""


class Evaluate(Task):
    """Measures the loss on the first `evaluation_tokens` of `text` and of the model's training text, in rows
    of the training's length.

    Dropout is off, every token has the same weight, and everything is computed in float32. Losses per token
    can be compared for one kind of text only, because a tokenizer needs more tokens for other kinds;
    therefore `bits_per_byte` is recorded as well. On the split that the model was trained on, only
    `training_text_loss` is recorded.
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
    """The trained model that is evaluated."""

    text: HeldOutText
    """The text on which the model is evaluated."""

    evaluation_tokens: Annotated[int, MEASUREMENT] = Field(default=16384, gt=0)
    """The number of tokens that are evaluated of each text."""

    batch: Annotated[int, MEASUREMENT] = Field(default=16, gt=0)
    """The number of rows that are computed together."""

    def corpora(self) -> tuple[CorpusRef, ...]:
        return (*self.model.train.corpora(), self.text.corpus)

    def trainings(self) -> tuple[Task, ...]:
        return (self.model.train,)

    def expected_work(self) -> Work:
        expected = self.model.expected_work
        text = [
            content(entire(self.text.corpus)),
            self.text.split,
            self.evaluation_tokens,
            expected["tokenizer"],
        ]
        return {
            **expected,
            "evaluation_tokens": 2 * self.evaluation_tokens,
            "length": self.model.train.length,
            "evaluation_text": fingerprint(self._text_name, text),
        }

    def seen_text(self) -> str | None:
        return self.model.seen(self.text.corpus, self.text.split, "text.split")

    @property
    def _text_name(self) -> str:
        return f"{reference_name(entire(self.text.corpus))} {self.text.split}"

    text_settings: ClassVar[tuple[str, ...]] = ("model", "text", "evaluation_tokens")

    def check_text(self) -> None:
        *_, corpus, _ = self._texts()
        self._held_out(corpus)

    def _held_out(self, training: Corpus) -> dict[str, Any]:
        return held_out_note(training, load_corpus(self.text.corpus), self.text.split)

    def flops(self) -> float:
        return 2 * self.evaluation_tokens / self.model.train.length * self.model.train.row_flops()

    def subject(self, context: Context) -> Subject:
        import torch

        held_out, *_ = self._texts()
        batches = evaluation_batches(held_out, length=self.model.train.length, batch=self.batch)
        tokens = torch.from_numpy(next(batches)[0]).to(context.device)
        return Subject(model=self.model.load(context), tokens=tokens)

    def run(self, context: Context, record: SampleRecorder) -> Result:
        from harness.training.evaluation import Evaluated, bits_per_byte, evaluate, perplexity
        from harness.training.objective import Objective

        held_out_ids, training_ids, training_corpus, tokenizer = self._texts()
        training = self.model.train
        objective = Objective(self.model.load(context), training.loss)

        def evaluated(tokens: Ids) -> Evaluated:
            batches = evaluation_batches(tokens, length=training.length, batch=self.batch)
            return evaluate(objective, batches)

        held_out, trained_on = evaluated(held_out_ids), evaluated(training_ids)
        predicted = tokenizer.decode_bytes(held_out_ids[1:].tolist())
        record("training_text_loss", trained_on.loss)
        if self.seen_text() is None:  # else they would be figures of held-out text by their names only
            record("validation_loss", held_out.loss)
            record("validation_perplexity", perplexity(held_out.loss))
            record("bits_per_byte", bits_per_byte(held_out, len(predicted)))
            record("log_z", held_out.log_z)
        return Result(
            outputs={"losses": digest([held_out.loss, trained_on.loss])},
            spent={
                **self.model.work(training_corpus, tokenizer),
                "evaluation_tokens": held_out.tokens + trained_on.tokens,
                "length": training.length,
                "evaluation_text": fingerprint_of_texts(
                    self._text_name, [predicted.decode(errors="replace")]
                ),
            },
            notes=self._held_out(training_corpus),
        )

    def _texts(self) -> tuple[Ids, Ids, Corpus, Tokenizer]:
        """Ids of held-out text and of training text, each one more than `evaluation_tokens`; and the corpus
        and the tokenizer of the training.

        Raises CorpusError if a split does not exist or has fewer than two tokens.
        """

        training_corpus, tokenizer = self.model.train.corpus_and_tokenizer()
        count = self.evaluation_tokens + 1
        held_out = token_array(load_corpus(self.text.corpus), self.text.split, tokenizer)[:count]
        trained_on = token_array(training_corpus, "train", tokenizer)[:count]
        return held_out, trained_on, training_corpus, tokenizer
