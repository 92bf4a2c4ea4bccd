"""Rows that end at different times leave the batch, and the others do not notice."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from harness.models.cache import Cache
from harness.models.config import CacheKind
from harness.models.decoding import decoding_state as rows_module
from harness.models.decoding.base import Decodable
from harness.models.decoding.beam_search import beam_search
from harness.models.decoding.config import BeamSearch, Decoding, Greedy, Sampling, Speculative, Temperature
from harness.models.decoding.decode import decode
from harness.models.decoding.greedy import greedy, greedy_steps
from harness.models.decoding.sampling import sample
from harness.models.decoding.speculative import TargetAndDraft
from harness.models.transformer import Transformer
from tests.models.decoding.small import Markov, perturbed, prompts, tiny

KINDS = get_args(CacheKind)
END = 0


@pytest.fixture(scope="module")
def model() -> Transformer:
    return tiny(vocabulary=11)


def padded(rows: int) -> tuple[Tensor, Tensor]:
    valid = torch.ones(rows, 6, dtype=torch.bool)
    valid[0, :4] = False
    valid[2, :1] = False
    return prompts(rows, 6, vocabulary=11), valid


def cut(row: list[int]) -> list[int]:
    return row[: row.index(END) + 1] if END in row else row


def greedily(model: Transformer, kind: CacheKind) -> tuple[list[list[int]], list[list[int]]]:
    """With an end, and without one and cut there."""
    prompt, valid = padded(8)
    ended = greedy(model, prompt, new_tokens=25, cache=kind, end=END, valid=valid).tolist()
    endless = greedy(model, prompt, new_tokens=25, cache="none", valid=valid).tolist()
    longest = max(len(cut(row)) for row in endless)
    return ended, [cut(row) + [END] * (longest - len(cut(row))) for row in endless]


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_rows_are_those_without_an_end_cut_at_it_and_filled_up(
    model: Transformer, kind: CacheKind
) -> None:
    ended, expected = greedily(model, kind)
    assert ended == expected
    assert len({len(cut(row)) for row in ended}) > 3


@pytest.mark.parametrize("kind", KINDS)
def test_keeping_the_wrong_rows_shows(
    model: Transformer, kind: CacheKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = rows_module.Rows.keep

    def first_ones(self: rows_module.Rows, sentences: Tensor, *, width: int = 1) -> None:
        original(self, torch.arange(len(sentences)), width=width)

    monkeypatch.setattr(rows_module.Rows, "keep", first_ones)
    ended, expected = greedily(model, kind)
    assert ended != expected


def test_a_row_that_has_ended_is_not_fed_again() -> None:
    fed: list[int] = []

    class Counting(Markov):
        def next_logits(self, tokens: Tensor, **rest: object) -> Tensor:
            fed.append(len(tokens))
            return self.logits[tokens[:, -1]]

    successor = torch.eye(5).roll(-1, dims=1)  # 3 → 2 → 1 → 0, the end
    steps = list(
        greedy_steps(Counting(successor), torch.tensor([[3], [2], [1]]), new_tokens=9, cache="none", end=END)
    )
    assert fed == [3, 2, 1]
    assert torch.stack(steps, dim=1).tolist() == [[2, 1, 0], [1, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("kind", KINDS)
def test_sampled_rows_do_not_depend_on_when_others_end_nor_on_the_cache(
    model: Transformer, kind: CacheKind
) -> None:
    prompt, valid = padded(8)
    settings = Sampling(filters=(Temperature(value=1.5),), seed=5)
    ended = sample(model, prompt, settings, new_tokens=25, cache=kind, end=END, valid=valid).tolist()
    endless = sample(model, prompt, settings, new_tokens=25, cache="none", valid=valid).tolist()
    assert [cut(row) for row in ended] == [cut(row) for row in endless]
    assert len({len(cut(row)) for row in ended}) > 3
    other = sample(model, prompt, Sampling(seed=6), new_tokens=25, cache=kind, valid=valid).tolist()
    assert other != endless


class Sources:
    """A model with a source to each row, a token that it says at every other step."""

    max_positions = 50

    def __init__(self, logits: Tensor, sources: Tensor) -> None:
        self.logits, self.sources = logits, sources

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        return None

    def keep_sources(self, rows: Tensor) -> Decodable:
        return Sources(self.logits, self.sources[rows])

    def next_logits(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        beams, rest = divmod(len(tokens), len(self.sources))
        assert not rest
        sources = self.sources.repeat_interleave(beams)
        return self.logits[tokens[:, -1]] + 9.0 * (tokens.shape[1] % 2) * torch.nn.functional.one_hot(
            sources, 11
        )


def test_sources_leave_with_their_rows() -> None:
    logits = torch.randn(11, 11, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    sources, prompt = torch.tensor([4, END, 5, END, 6]), torch.ones((5, 1), dtype=torch.long)
    settings = BeamSearch(width=3, n_best=2)
    together = beam_search(Sources(logits, sources), prompt, settings, new_tokens=12, cache="none", end=END)
    greedily_together = greedy(
        Sources(logits, sources), prompt, new_tokens=12, cache="none", end=END
    ).tolist()
    for row in range(5):
        one_source = Sources(logits, sources[row : row + 1])
        assert [beam_search(one_source, prompt[:1], settings, new_tokens=12, cache="none", end=END)[0]] == [
            together[row]
        ]
        alone = greedy(one_source, prompt[:1], new_tokens=12, cache="none", end=END).tolist()
        assert cut(alone[0]) == cut(greedily_together[row])
    assert len({len(row[0].tokens) for row in together}) > 1


@pytest.mark.parametrize(
    "decoding",
    [Greedy(), Sampling(seed=1), BeamSearch(width=3), Speculative(draft_tokens=3)],
    ids=lambda settings: settings.kind,
)
def test_every_way_of_decoding_gives_rows_without_their_end(model: Transformer, decoding: Decoding) -> None:
    prompt, valid = padded(8)
    models = TargetAndDraft(target=model, draft=perturbed(model, std=0.1))
    subject = models if decoding.kind == "speculative" else model
    decoded = decode(subject, prompt, decoding, new_tokens=25, cache="static", end=END, valid=valid)
    assert not any(END in row for row in decoded)
    assert len({len(row) for row in decoded}) > 2
    assert max(len(row) for row in decoded) <= 25
    if decoding.kind in ("greedy", "speculative"):
        tokens = greedy(model, prompt, new_tokens=25, cache="none", end=END, valid=valid)
        assert decoded == [[token for token in cut(row) if token != END] for row in tokens.tolist()]
    other = model if decoding.kind == "speculative" else models
    with pytest.raises(TypeError, match=f"^{decoding.kind} decoding needs "):
        decode(other, prompt, decoding, new_tokens=3, cache="static")


def test_logits_that_are_not_finite_are_said_after_the_last_step() -> None:
    model = Markov(torch.tensor([[0.0, 1.0], [float("nan"), 0.0]]))
    with pytest.raises(
        ValueError,
        match=r"^greedy: the model produced logits that are not finite; check whether its parameters",
    ):
        greedy(model, torch.tensor([[0]]), new_tokens=3, cache="none")
    assert greedy(model, torch.tensor([[0]]), new_tokens=1, cache="none").tolist() == [[1]]


def test_streams_are_one_a_row(model: Transformer) -> None:
    prompt = torch.tensor([[3], [2], [1]])
    with pytest.raises(
        ValueError, match=r"^sampling: streams has 2 names, but there are 3 rows; give one name per row"
    ):
        sample(model, prompt, Sampling(streams=("a", "b")), new_tokens=2, cache="none")
