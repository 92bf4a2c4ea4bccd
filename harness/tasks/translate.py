"""Task `translate`: a trained translator translates sentences of a held-out split. Each has one reference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from harness.config import Config, content
from harness.data.corpus import load_corpus
from harness.data.reference import CorpusRef, entire, reference_name
from harness.data.tokenizer import BOS_ID, EOS_ID, PAD_ID
from harness.errors import InputError
from harness.invariants.subjects import WritingSubject
from harness.models.config import EncoderDecoderConfig
from harness.tasks.base import Context
from harness.tasks.work import Work
from harness.tasks.writing_task import Prompter, Texts, WritingTask

if TYPE_CHECKING:
    import torch

    from harness.data.content import Corpus, Pair
    from harness.data.tokenizer import Tokenizer
    from harness.models.decoding.base import Scorer

# A plan's time is estimated from these numbers, before a sentence is read.
SENTENCES, SENTENCE_TOKENS = 2000, 12


class HeldOut(Config):
    """`count` sentences of a split, the same for every seed. Without `count`, all sentences of the split.

    If a sentence has several translations, the first one is its reference.
    """

    corpus: CorpusRef
    """The corpus that the sentences come from."""

    split: str = "test"
    """The split of the corpus: train, valid or test."""

    count: int | None = Field(default=None, ge=2)
    """The number of sentences, the same ones for every seed. Default: all."""


class Translate(WritingTask):
    """Translates sentences. A source ends in eos. A translation begins after bos and ends in eos."""

    name: ClassVar[str] = "translate"

    text_settings: ClassVar[tuple[str, ...]] = (*WritingTask.text_settings, "sentences")

    sentences: HeldOut
    """The sentences to translate, with their reference translations."""

    @model_validator(mode="after")
    def _is_a_translator(self) -> Self:
        if not isinstance(self.model.train.model, EncoderDecoderConfig):
            message = "model must be an encoder-decoder; use task continue_text for a decoder"
            raise ValueError(message)  # noqa: TRY004  pydantic reports ValueErrors only
        if 1 + self.new_tokens > self.max_positions:
            raise ValueError(
                f"new_tokens {self.new_tokens} and the first token are more than "
                f"the model's max_positions {self.max_positions}"
            )
        return self

    def corpora(self) -> tuple[CorpusRef, ...]:
        return (*self.model.train.corpora(), self.sentences.corpus)

    def flops(self) -> float:
        rows = (self.sentences.count or SENTENCES) * getattr(self.decoding, "width", 1)
        share = min(self.new_tokens, SENTENCE_TOKENS) / self.model.train.length
        return rows * share * self.model.train.row_flops() * (self.units + self.warm_up.at_most)

    def expected_work(self) -> Work:
        count = self.sentences.count
        if count is None:  # the split says how many there are
            counted: Work = {"sentences": "all", "new_tokens": f"{self.new_tokens} per sentence"}
        else:
            counted = {"sentences": count, "new_tokens": count * self.new_tokens}
        return {**super().expected_work(), **counted}

    @property
    def expected_texts(self) -> tuple[str, list[Any]]:
        corpus = entire(self.sentences.corpus)
        name = f"{reference_name(corpus)} {self.sentences.split}"
        return name, [content(corpus), self.sentences.split, self.sentences.count]

    def seen_text(self) -> str | None:
        return self.model.seen(self.sentences.corpus, self.sentences.split, "sentences.split")

    def texts(self) -> tuple[Texts, Corpus, Tokenizer]:

        training_corpus, tokenizer = self.model.train.corpus_and_tokenizer()
        same = self.sentences.corpus == self.model.train.corpus
        held_out = training_corpus if same else load_corpus(self.sentences.corpus)
        pairs = draw_pairs(held_out.pairs(self.sentences.split), self.sentences.count)
        sources = tuple(pair.source for pair in pairs)
        ids = tuple((*tokenizer.encode(source), EOS_ID) for source in sources)
        references = tuple(pair.target for pair in pairs)
        reference_ids = tuple((*tokenizer.encode(reference), EOS_ID) for reference in references)
        check_lengths("source", sources, ids, self.max_positions)
        check_lengths("reference", references, reference_ids, self.model.train.model.max_positions)
        texts = Texts(
            sources=sources,
            references=references,
            source_ids=ids,
            reference_ids=reference_ids,
            reference_bytes=tuple(len(reference.encode()) for reference in references),
        )
        return texts, training_corpus, tokenizer

    @property
    def text_source(self) -> tuple[CorpusRef, str]:
        return self.sentences.corpus, self.sentences.split

    def training_sources(self) -> Iterable[str]:
        corpus, _ = self.model.train.corpus_and_tokenizer()
        return (pair.source for pair in corpus.pairs("train"))

    def prompter(self, texts: Texts, context: Context) -> Prompter:
        return _Translation(self, texts, context)


def draw_pairs(pairs: Sequence[Pair], count: int | None) -> list[Pair]:
    """The first pair of each source; `count` of them, drawn with a fixed seed.

    Raises InputError if there are fewer than `count`.
    """

    by_source: dict[str, Pair] = {}
    for pair in pairs:
        by_source.setdefault(pair.source, pair)
    first = list(by_source.values())
    if count is None:
        return first
    if count > len(first):
        raise InputError(
            f"sentences.count is {count}, but the split has only {len(first)} sentences",
            hint="use a smaller count, or leave it out to take all",
        )
    return [first[index] for index in sorted(np.random.default_rng(0).permutation(len(first))[:count])]


def check_lengths(side: str, texts: Sequence[str], ids: Sequence[Sequence[int]], positions: int) -> None:
    """Raises InputError at the first text that is empty, or that is longer, with its end, than the model's
    positions.
    """
    for number, (text, row) in enumerate(zip(texts, ids, strict=True), start=1):
        if not text.strip():
            raise InputError(f"{side} {number} is empty", hint="remove such sentences from the test set")
        if len(row) > positions:
            raise InputError(
                f"{side} {number} ({text[:40]!r} …) has {len(row)} tokens, "
                f"but the model reads at most {positions}",
                hint="remove it, or train a model with larger max_positions",
            )


class _Translation(Prompter):
    """A translation begins after bos and ends in eos."""

    end = EOS_ID

    def subject(self, indices: Sequence[int]) -> WritingSubject:
        return WritingSubject(
            model=self.loaded,
            tokens=self.prompts(indices),
            sources=self._sources(indices),
            new_tokens=self.task.new_tokens,
            cache=self.task.cache,
        )

    def prompt_ids(self, index: int) -> Sequence[int]:  # noqa: ARG002  all begin alike
        return (BOS_ID,)

    def bound(self, models: Sequence[Any], indices: Sequence[int]) -> list[Scorer]:
        sources = self._sources(indices)
        return [model.bind(sources, sources != PAD_ID) for model in models]

    def _sources(self, indices: Sequence[int]) -> torch.Tensor:
        """(B, S), padded on the right."""
        import torch

        ids = [self.texts.source_ids[index] for index in indices]
        width = max(map(len, ids))
        return torch.tensor([[*row, *[PAD_ID] * (width - len(row))] for row in ids], device=self.device)
