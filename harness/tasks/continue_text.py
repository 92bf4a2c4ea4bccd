"""Task `continue_text`: a decoder continues windows of a held-out split. The reference of each window is the
text that follows it in the split.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import model_validator

from harness.data.reference import CorpusRef
from harness.data.tokenizer import complete_text
from harness.invariants.subjects import DecodingSubject, Subject
from harness.tasks.base import Context
from harness.tasks.trained_model import Prompts, TrainedDecoder
from harness.tasks.work import Work
from harness.tasks.writing_task import Prompter, Texts, WritingTask

if TYPE_CHECKING:
    from harness.data.content import Corpus
    from harness.data.tokenizer import Tokenizer
    from harness.models.decoding.base import Scorer


class ContinueText(WritingTask):
    """Continues prompts. Every continuation has `new_tokens` tokens, because running text has no end.

    The windows are the same for every seed.
    """

    name: ClassVar[str] = "continue_text"
    offers: ClassVar[type[Subject] | None] = DecodingSubject

    text_settings: ClassVar[tuple[str, ...]] = (*WritingTask.text_settings, "prompts")

    model: TrainedDecoder
    """The trained model that writes."""

    draft: TrainedDecoder | None = None
    """The smaller model that proposes tokens in speculative decoding."""

    prompts: Prompts
    """The beginnings of text that the model continues."""

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        self.prompts.check_room(self.new_tokens, self.max_positions)
        for model in filter(None, (self.model, self.draft)):
            model.check_cache(self.cache)
        if self.prompts.count < 2:
            raise ValueError(
                "prompts.count must be at least 2, because the variety of texts is measured on several"
            )
        return self

    def corpora(self) -> tuple[CorpusRef, ...]:
        return (*self.model.train.corpora(), self.prompts.corpus)

    def flops(self) -> float:
        width = getattr(self.decoding, "width", 1)
        share = (self.prompts.tokens + self.new_tokens) / self.model.train.length
        rows = self.prompts.count * width * share
        return rows * self.model.train.row_flops() * (self.units + self.warm_up.at_most)

    def expected_work(self) -> Work:
        return {
            **super().expected_work(),
            "sentences": self.prompts.count,
            "prompt_tokens": self.prompts.count * self.prompts.tokens,
            "new_tokens": self.prompts.count * self.new_tokens,
        }

    @property
    def expected_texts(self) -> tuple[str, list[Any]]:
        return self.prompts.name, [self.prompts.expected_text, self.new_tokens]

    def seen_text(self) -> str | None:
        return self.model.seen(self.prompts.corpus, self.prompts.split, "prompts.split")

    def texts(self) -> tuple[Texts, Corpus, Tokenizer]:
        corpus, tokenizer = self.model.train.corpus_and_tokenizer()
        length = self.prompts.tokens
        windows = self.prompts.windows(tokenizer, length=length + self.new_tokens, seed=0).tolist()
        sources = [tokenizer.decode_bytes(row[:length]) for row in windows]
        references = [tokenizer.decode_bytes(row[length:]) for row in windows]
        texts = Texts(
            sources=tuple(map(complete_text, sources)),
            references=tuple(map(complete_text, references)),
            source_ids=tuple(tuple(row[:length]) for row in windows),
            reference_ids=tuple(tuple(row[length:]) for row in windows),
            reference_bytes=tuple(map(len, references)),
        )
        return texts, corpus, tokenizer

    @property
    def text_source(self) -> tuple[CorpusRef, str]:
        return self.prompts.corpus, self.prompts.split

    def training_sources(self) -> Iterable[str]:
        corpus, _ = self.model.train.corpus_and_tokenizer()
        return [corpus.text("train")]

    def prompter(self, texts: Texts, context: Context) -> Prompter:
        return _Continuation(self, texts, context)


class _Continuation(Prompter):
    """A text is continued after its ids."""

    end = None

    def subject(self, indices: Sequence[int]) -> DecodingSubject:
        return DecodingSubject(
            model=self.loaded,
            tokens=self.prompts(indices),
            new_tokens=self.task.new_tokens,
            cache=self.task.cache,
        )

    def prompt_ids(self, index: int) -> Sequence[int]:
        return self.texts.source_ids[index]

    def bound(
        self,
        models: Sequence[Any],
        indices: Sequence[int],  # noqa: ARG002  a decoder reads no sources
    ) -> list[Scorer]:
        return list(models)
