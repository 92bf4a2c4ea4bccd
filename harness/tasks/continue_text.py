"""Task `continue_text`: windows of a held-out split, continued by a decoder; the reference is the text that
really followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import model_validator

from harness.data.reference import CorpusRef
from harness.invariants.subjects import DecodingSubject, Subject, WritingSubject
from harness.tasks.base import Context
from harness.tasks.trained_model import DecoderRecipe, Prompts
from harness.tasks.writing_task import Decode, Prompter, Texts

if TYPE_CHECKING:
    import torch

    from harness.data.tokenizer import Tokenizer
    from harness.tasks.score import Forced
    from harness.tasks.timed_decoding import Prompted


class ContinueText(Decode):
    """Every continuation has `new_tokens` tokens: running text has no end.

    The windows are the same for every seed.
    """

    name: ClassVar[str] = "continue_text"
    offers: ClassVar[type[Subject] | None] = DecodingSubject

    text_settings: ClassVar[tuple[str, ...]] = (*Decode.text_settings, "prompts")

    model: DecoderRecipe
    draft: DecoderRecipe | None = None
    prompts: Prompts

    @model_validator(mode="after")
    def _is_a_decoder(self) -> Self:
        needed, most = self.prompts.tokens + self.new_tokens, self.max_positions
        if needed > most:
            raise ValueError(
                f"prompts.tokens {self.prompts.tokens} + new_tokens {self.new_tokens} is beyond the model's max_positions {most}"
            )
        if self.prompts.count < 2:
            raise ValueError("prompts.count must be at least 2: how varied texts are needs several")
        return self

    def corpora(self) -> tuple[CorpusRef, ...]:
        return (*self.model.train.corpora(), self.prompts.corpus)

    def flops(self) -> float:
        width = getattr(self.decoding, "width", 1)
        share = (self.prompts.tokens + self.new_tokens) / self.model.train.length
        rows = self.prompts.count * width * share
        return rows * self.model.train.row_flops() * (self.units + self.warm_up.at_most)

    def texts(self) -> tuple[Texts, Tokenizer]:
        from harness.data.batches import prompts, token_array
        from harness.data.corpus import load_corpus
        from harness.data.tokenizer import build_tokenizer

        learnt = load_corpus(self.model.train.corpus)
        tokenizer = build_tokenizer(self.model.train.tokenizer, learnt)
        split = token_array(load_corpus(self.prompts.corpus), self.prompts.split, tokenizer)
        length = self.prompts.tokens
        windows = prompts(split, count=self.prompts.count, length=length + self.new_tokens, seed=0).tolist()
        sources = tuple(tokenizer.decode(row[:length]) for row in windows)
        return Texts(
            sources=sources,
            references=tuple(tokenizer.decode(row[length:]) for row in windows),
            source_ids=tuple(tuple(row[:length]) for row in windows),
            reference_ids=tuple(tuple(row[length:]) for row in windows),
        ), tokenizer

    def learnt(self) -> Iterable[str]:
        from harness.data.corpus import load_corpus

        return [load_corpus(self.model.train.corpus).text("train")]

    def prompted(self, texts: Texts, context: Context) -> Prompter:
        return _Continuing(self, texts, context)


class _Continuing(Prompter):
    def __init__(self, task: ContinueText, texts: Texts, context: Context) -> None:
        from harness.models.cpu_decoding import prepare_for_decoding
        from harness.training.checkpoint import load_model

        self.end, self._texts, self._device, self._rows = None, texts, context.device, task.batch
        self._plain = load_model(
            context.checkpoint(task.model.train), task.model.decoder, after=task.model.kept
        ).to(context.device)
        self._fast, self._draft = prepare_for_decoding(self._plain), None
        if len(task.trainings()) > 1 and task.draft is not None:
            loaded = load_model(
                context.checkpoint(task.draft.train), task.draft.decoder, after=task.draft.kept
            ).to(context.device)
            self._draft = prepare_for_decoding(loaded)

    def batch(self, places: Sequence[int]) -> Prompted:
        from harness.tasks.timed_decoding import Prompted

        return Prompted(self._fast, self._draft, self._prompts(places))

    def forced(self, rows: Sequence[Sequence[int]]) -> Forced:
        from harness.tasks.score import teacher_forced

        def logits(tokens: torch.Tensor, _places: Sequence[int]) -> torch.Tensor:
            found: torch.Tensor = self._fast(tokens.to(self._device), cache=None, valid=None)
            return found

        return teacher_forced(logits, self._texts.source_ids, rows, self._texts.batches(self._rows, rows))

    def subject(self, task: Decode, places: Sequence[int]) -> WritingSubject:
        return DecodingSubject(
            model=self._plain, tokens=self._prompts(places), new_tokens=task.new_tokens, cache=task.cache
        )

    def _prompts(self, places: Sequence[int]) -> torch.Tensor:
        """(B, P)."""
        import torch

        return torch.tensor([self._texts.source_ids[place] for place in places], device=self._device)
