"""Timed decoding: times are those of the clock, and random numbers belong to a text and a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
import torch

from harness.models.cache import Cache
from harness.models.config import CacheKind
from harness.models.decoding.config import Greedy, Sampling, Speculative
from harness.models.init import build_model
from harness.models.transformer import Transformer
from harness.tasks.continue_text import ContinueText
from harness.tasks.support.timed_decoding import DecodedTexts, DecodingSettings, PromptedModel, decode_batches
from harness.tasks.train import Train
from harness.telemetry.clock import Clock
from tests.tasks.tiny_recipes import RECIPE, continuation


@pytest.mark.parametrize("decoding", [Sampling(), Speculative(choose=Sampling())])
def test_every_text_of_every_batch_and_seed_has_random_numbers_of_its_own(
    decoding: Sampling | Speculative,
) -> None:
    """The same prompt eight times, in batches of two, by a model of flat distributions."""
    model = build_model(Train.read(RECIPE).model, 0).eval()
    assert isinstance(model, Transformer)

    def prompted(indices: Sequence[int]) -> PromptedModel:
        return PromptedModel(model, model, torch.ones((len(indices), 1), dtype=torch.long))

    def texts(seed: int) -> set[tuple[int, ...]]:
        settings = DecodingSettings(decoding=decoding, seed=seed, new_tokens=8, cache="dynamic", end=None)
        decoded = decode_batches([[0, 1], [2, 3], [4, 5], [6, 7]], prompted, settings, Clock("cpu"))
        return set(map(tuple, decoded.rows))

    assert len(texts(0)) == 8
    assert texts(0) == texts(0)
    assert not texts(0) & texts(1)


@dataclass(frozen=True)
class Ticking(Clock):
    """A clock that goes on by what passes alone."""

    passed: list[float] = field(default_factory=list)

    def now_ns(self) -> int:
        return round(sum(self.passed) * 1e9)


@dataclass(frozen=True)
class Slow:
    """A model whose first logits take so many seconds, and every later ones half a second."""

    clock: Ticking
    first: float
    max_positions: int = 64

    def new_cache(self, _kind: CacheKind, *, batch: int, capacity: int) -> None:
        assert (batch, capacity) == (2, 3)

    def next_logits(
        self, tokens: torch.Tensor, *, cache: Cache | None, valid: torch.Tensor | None
    ) -> torch.Tensor:
        assert (cache, valid) == (None, None)
        self.clock.passed.append(self.first if tokens.shape[1] == 1 else 0.5)
        return torch.eye(8)[tokens[:, -1]]

    def __call__(
        self, tokens: torch.Tensor, *, cache: Cache | None, valid: torch.Tensor | None
    ) -> torch.Tensor:
        raise NotImplementedError


def test_speed_is_what_the_clock_says() -> None:
    """Twenty batches of two texts of three tokens, whose first come after 0.1 to 2 s, 0.02 of them to read
    the sources.
    """
    clock = Ticking()
    slow = {7 * batch % 20: 0.1 * (batch + 1) for batch in range(20)}

    def prompted(indices: Sequence[int]) -> PromptedModel:
        clock.passed.append(0.02)
        model = Slow(clock, slow[indices[0] // 2] - 0.02)
        return PromptedModel(model, None, torch.ones((2, 1), dtype=torch.long))

    settings = DecodingSettings(decoding=Greedy(), seed=0, new_tokens=3, cache="none", end=None)
    unit = decode_batches([[2 * batch, 2 * batch + 1] for batch in range(20)], prompted, settings, clock)
    samples: dict[tuple[str, int], float] = {}
    task = ContinueText.read(continuation())
    task._record_speed(unit, lambda metric, value, step=0, /: samples.update({(metric, step): value}), 4)
    seconds = 0.1 * 210 + 20 * 2 * 0.5
    assert samples == pytest.approx(
        {
            ("sentence_seconds", 4): seconds / 40,
            ("sentences_per_second", 4): 40 / seconds,
            ("tokens_per_second", 4): 120 / seconds,
            ("new_tokens", 4): 120,
            ("first_token_seconds", 4): 1.05,
            ("first_token_p95_seconds", 4): 1.905,
            ("first_token_p99_seconds", 4): 1.981,
        },
        rel=1e-6,
    )


def test_an_end_is_a_token_that_was_written() -> None:
    settings = DecodingSettings(decoding=Greedy(), seed=0, new_tokens=3, cache="none", end=2)
    decoded = DecodedTexts(settings=settings, rows=[[], [5], [5, 6], [5, 6, 7]])
    assert decoded.ended_rows == [[2], [5, 2], [5, 6, 2], [5, 6, 7]]
    assert decoded.new_tokens == 1 + 2 + 3 + 3
    assert DecodedTexts(settings=replace(settings, end=None), rows=[[5, 6, 7]]).new_tokens == 3
