"""Task `translate`: sentences of a held-out split by a trained translator, one reference each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from harness.config import Config
from harness.data.reference import CorpusRef
from harness.errors import InputError
from harness.invariants.subjects import WritingSubject
from harness.models.config import EncoderDecoderConfig
from harness.tasks.base import Context
from harness.tasks.writing_task import Decode, Prompter, Texts

if TYPE_CHECKING:
    import torch

    from harness.data.content import Pair
    from harness.data.tokenizer import Tokenizer
    from harness.tasks.score import Forced
    from harness.tasks.timed_decoding import Prompted


# What a plan's time is guessed from, before a sentence is read.
SENTENCES, SENTENCE_TOKENS = 2000, 12


class HeldOut(Config):
    """`count` sentences of a split, the same for every seed; all of them without.

    Of several translations the first counts.
    """

    corpus: CorpusRef
    split: str = "test"
    count: int | None = Field(default=None, ge=2)


class Translate(Decode):
    """A source ends in eos, a translation begins after bos and ends in eos."""

    name: ClassVar[str] = "translate"

    text_settings: ClassVar[tuple[str, ...]] = (*Decode.text_settings, "sentences")

    sentences: HeldOut

    @model_validator(mode="after")
    def _is_a_translator(self) -> Self:
        if not isinstance(self.model.train.model, EncoderDecoderConfig):
            raise ValueError("model must be an encoder-decoder; task continue_text is for a decoder")  # noqa: TRY004  pydantic reports these alone
        if 1 + self.new_tokens > self.max_positions:
            raise ValueError(
                f"new_tokens {self.new_tokens} and the first token are beyond the model's max_positions {self.max_positions}"
            )
        return self

    def corpora(self) -> tuple[CorpusRef, ...]:
        return (*self.model.train.corpora(), self.sentences.corpus)

    def flops(self) -> float:
        rows = (self.sentences.count or SENTENCES) * getattr(self.decoding, "width", 1)
        share = min(self.new_tokens, SENTENCE_TOKENS) / self.model.train.length
        return rows * share * self.model.train.row_flops() * (self.units + self.warm_up.at_most)

    def texts(self) -> tuple[Texts, Tokenizer]:
        from harness.data.corpus import load_corpus
        from harness.data.tokenizer import EOS_ID, build_tokenizer

        training = self.model.train
        learnt = load_corpus(training.corpus)
        tokenizer = build_tokenizer(training.tokenizer, learnt)
        held_out = learnt if self.sentences.corpus == training.corpus else load_corpus(self.sentences.corpus)
        pairs = chosen(held_out.pairs(self.sentences.split), self.sentences.count)
        sources = tuple(pair.source for pair in pairs)
        ids = tuple((*tokenizer.encode(source), EOS_ID) for source in sources)
        references = tuple(pair.target for pair in pairs)
        reference_ids = tuple((*tokenizer.encode(reference), EOS_ID) for reference in references)
        check_lengths("source", sources, ids, self.max_positions)
        check_lengths("reference", references, reference_ids, self.model.train.model.max_positions)
        return Texts(
            sources=sources, references=references, source_ids=ids, reference_ids=reference_ids
        ), tokenizer

    def learnt(self) -> Iterable[str]:
        from harness.data.corpus import load_corpus

        return (pair.source for pair in load_corpus(self.model.train.corpus).pairs("train"))

    def prompted(self, texts: Texts, context: Context) -> Prompter:
        return _Translator(self, texts, context)


def chosen(pairs: Sequence[Pair], count: int | None) -> list[Pair]:
    """One pair a source, the first; `count` of them by a fixed draw. InputError: there are not so many."""
    import numpy as np

    first: dict[str, Pair] = {}
    for pair in pairs:
        first.setdefault(pair.source, pair)
    found = list(first.values())
    if count is None:
        return found
    if count > len(found):
        raise InputError(f"{count} sentences were asked for, and the split has {len(found)}")
    return [found[place] for place in sorted(np.random.default_rng(0).permutation(len(found))[:count])]


def check_lengths(what: str, texts: Sequence[str], ids: Sequence[Sequence[int]], positions: int) -> None:
    """InputError at the first text that is empty or longer than the model's positions, its end included."""
    for place, (text, row) in enumerate(zip(texts, ids, strict=True), start=1):
        if not text.strip():
            raise InputError(f"{what} {place} is empty", hint="leave such sentences out of the test set")
        if len(row) > positions:
            raise InputError(
                f"{what} {place} ({text[:40]!r} …) has {len(row)} tokens, and the model reads {positions}",
                hint="leave it out, or train a model with more max_positions",
            )


class _Translator(Prompter):
    def __init__(self, task: Translate, texts: Texts, context: Context) -> None:
        from harness.data.tokenizer import EOS_ID
        from harness.models.cpu_decoding import prepare_for_decoding
        from harness.training.checkpoint import load_model

        self.end, self._texts, self._device = EOS_ID, texts, context.device
        self._rows = task.batch
        config = task.model.train.model
        assert isinstance(config, EncoderDecoderConfig)
        self._plain = load_model(context.checkpoint(task.model.train), config, after=task.model.kept).to(
            context.device
        )
        self._fast, self._draft = prepare_for_decoding(self._plain), None
        if len(task.trainings()) > 1 and task.draft is not None:
            small = task.draft.train
            assert isinstance(small.model, EncoderDecoderConfig)
            loaded = load_model(context.checkpoint(small), small.model, after=task.draft.kept).to(
                context.device
            )
            self._draft = prepare_for_decoding(loaded)

    def batch(self, places: Sequence[int]) -> Prompted:
        from harness.tasks.timed_decoding import Prompted

        sources = self._sources(places)
        prompt = self._first(len(places))
        draft = None if self._draft is None else self._draft.bind(sources, sources != 0)
        return Prompted(self._fast.bind(sources, sources != 0), draft, prompt)

    def forced(self, rows: Sequence[Sequence[int]]) -> Forced:
        from harness.data.tokenizer import BOS_ID
        from harness.tasks.score import teacher_forced

        def logits(tokens: torch.Tensor, places: Sequence[int]) -> torch.Tensor:
            sources = self._sources(places)
            bound = self._fast.bind(sources, sources != 0)
            return bound(tokens.to(self._device), cache=None, valid=None)

        return teacher_forced(logits, [[BOS_ID]] * len(rows), rows, self._texts.batches(self._rows, rows))

    def subject(self, task: Decode, places: Sequence[int]) -> WritingSubject:
        return WritingSubject(
            model=self._plain,
            tokens=self._first(len(places)),
            sources=self._sources(places),
            new_tokens=task.new_tokens,
            cache=task.cache,
        )

    def _first(self, rows: int) -> torch.Tensor:
        import torch

        from harness.data.tokenizer import BOS_ID

        return torch.full((rows, 1), BOS_ID, device=self._device)

    def _sources(self, places: Sequence[int]) -> torch.Tensor:
        """(B, S), padded on the right."""
        import torch

        ids = [self._texts.source_ids[place] for place in places]
        width = max(map(len, ids))
        return torch.tensor([[*row, *[0] * (width - len(row))] for row in ids], device=self._device)
