"""Beam search against enumeration, against greedy decoding and against itself row by row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from harness.models.cache import DoublingCache, DynamicCache, StaticCache
from harness.models.config import CacheKind
from harness.models.decoding import beam_bookkeeping
from harness.models.decoding.beam_bookkeeping import Hypothesis, penalised, settled
from harness.models.decoding.beam_search import beam_search, repeated
from harness.models.decoding.config import BeamSearch, GNMTPenalty, LengthPenalty, MeanPenalty
from harness.models.decoding.greedy import greedy
from harness.models.transformer import Transformer
from tests.models.decoding.small import Markov, log_probabilities, prompts, tiny

KINDS = get_args(CacheKind)
PENALTIES: dict[str, LengthPenalty] = {
    "mean": MeanPenalty(),
    "gnmt": GNMTPenalty(alpha=0.6),
    "none": GNMTPenalty(alpha=0),
}
END = 1


@pytest.fixture(scope="module")
def four() -> Transformer:
    return tiny(vocabulary=4)


@pytest.fixture(scope="module")
def many() -> Transformer:
    return tiny(vocabulary=23)


PROMPTS = prompts(3, 5, vocabulary=4)
Ranked = list[tuple[tuple[int, ...], float]]


def by_hand(log_probability: float, length: int, name: str) -> float:
    if name == "mean":
        return log_probability / length
    return log_probability / (((5.0 + length) / 6.0) ** 0.6 if name == "gnmt" else 1.0)


def brute_force(model: Transformer, prompt: Tensor, *, penalty: str, end: int | None) -> Ranked:
    """All continuations of up to 4 tokens, best first, with their scores."""
    totals = log_probabilities(model, prompt, new_tokens=4, end=end)
    scored = [(tokens, by_hand(total, len(tokens), penalty)) for tokens, total in totals.items()]
    return sorted(scored, key=lambda item: -item[1])


@pytest.fixture(scope="module")
def enumerated(four: Transformer) -> dict[tuple[str, int | None], list[Ranked]]:
    return {
        (penalty, end): [brute_force(four, prompt, penalty=penalty, end=end) for prompt in PROMPTS]
        for penalty in PENALTIES
        for end in (None, END)
    }


def agrees(rows: list[list[Hypothesis]], ranked: list[Ranked]) -> bool:
    return all(
        [hypothesis.tokens for hypothesis in row] == [tokens for tokens, _ in best[: len(row)]]
        and all(
            math.isclose(hypothesis.score, score, rel_tol=1e-10)
            for hypothesis, (_, score) in zip(row, best, strict=False)
        )
        for row, best in zip(rows, ranked, strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop", ["enough", "bound"])
@pytest.mark.parametrize("end", [None, END])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_beam_without_limit_finds_the_best_of_all_continuations(
    four: Transformer,
    enumerated: dict[tuple[str, int | None], list[Ranked]],
    kind: CacheKind,
    stop: str,
    end: int | None,
    penalty: str,
) -> None:
    settings = BeamSearch.model_validate(
        {"width": 256, "n_best": 7, "stop": stop, "length_penalty": PENALTIES[penalty]}
    )
    rows = beam_search(four, PROMPTS, settings, new_tokens=4, cache=kind, end=end)
    assert [len(row) for row in rows] == [7, 7, 7]
    assert agrees(rows, enumerated[penalty, end])


def prompt_counted(log_probability: float, *, length: int, penalty: LengthPenalty) -> float:
    return penalised(log_probability, length=length + PROMPTS.shape[1], penalty=penalty)


def end_not_counted(log_probability: float, *, length: int, penalty: LengthPenalty) -> float:
    return penalised(log_probability, length=max(length - 1, 1), penalty=penalty)


@pytest.mark.parametrize("bug", [prompt_counted, end_not_counted])
@pytest.mark.parametrize("penalty", ["mean", "gnmt"])
def test_a_wrong_length_in_the_penalty_shows(
    four: Transformer,
    enumerated: dict[tuple[str, int | None], list[Ranked]],
    monkeypatch: pytest.MonkeyPatch,
    bug: object,
    penalty: str,
) -> None:
    monkeypatch.setattr(beam_bookkeeping, "penalised", bug)
    settings = BeamSearch(width=256, n_best=7, length_penalty=PENALTIES[penalty])
    rows = beam_search(four, PROMPTS, settings, new_tokens=4, cache="none", end=END)
    assert not agrees(rows, enumerated[penalty, END])


@pytest.mark.parametrize("end", [None, END])
@pytest.mark.parametrize("kind", KINDS)
def test_beam_1_is_greedy(many: Transformer, kind: CacheKind, end: int | None) -> None:
    prompt = prompts(6, 5, vocabulary=23)
    tokens = greedy(many, prompt, new_tokens=30, cache="none", end=end)
    rows = beam_search(many, prompt, BeamSearch(width=1), new_tokens=30, cache=kind, end=end)
    for row, (best,) in zip(tokens.tolist(), rows, strict=True):
        ended = end is not None and end in row
        assert list(best.tokens) == (row[: row.index(end) + 1] if ended else row)


def test_a_beam_finds_more_probable_continuations_than_greedy(many: Transformer) -> None:
    prompt = prompts(6, 5, vocabulary=23)
    best = {
        width: [
            row[0].log_probability
            for row in beam_search(many, prompt, BeamSearch(width=width), new_tokens=12, cache="static")
        ]
        for width in (1, 8)
    }
    assert sum(best[8]) > sum(best[1]) + 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop", ["enough", "bound"])
def test_batched_and_padded_beams_are_those_of_each_row_alone(
    many: Transformer, kind: CacheKind, stop: str
) -> None:
    """The rows without padding end first: the padding that the others share leaves with them."""
    prompt = prompts(5, 7, vocabulary=23, seed=6)
    valid = torch.arange(7) >= torch.tensor([[2], [0], [0], [4], [3]])
    settings = BeamSearch.model_validate({"width": 4, "n_best": 3, "stop": stop})
    together = beam_search(many, prompt, settings, new_tokens=20, cache=kind, end=4, valid=valid)
    for row in range(5):
        alone = prompt[row : row + 1, valid[row]]
        (expected,) = beam_search(many, alone, settings, new_tokens=20, cache="none", end=4)
        assert [hypothesis.tokens for hypothesis in together[row]] == [
            hypothesis.tokens for hypothesis in expected
        ]
        assert [hypothesis.score for hypothesis in together[row]] == pytest.approx(
            [hypothesis.score for hypothesis in expected]
        )
    assert max(len(together[row][0].tokens) for row in (1, 2)) < len(together[0][0].tokens)


@pytest.mark.parametrize("kind", [DynamicCache, StaticCache, DoublingCache])
def test_a_cache_that_is_not_reordered_shows(
    many: Transformer, monkeypatch: pytest.MonkeyPatch, kind: type[DynamicCache]
) -> None:
    names: dict[Any, CacheKind] = {
        DynamicCache: "dynamic",
        StaticCache: "static",
        DoublingCache: "doubling",
    }
    name = names[kind]
    prompt, settings = prompts(3, 5, vocabulary=23), BeamSearch(width=4)
    right = beam_search(many, prompt, settings, new_tokens=12, cache=name)
    monkeypatch.setattr(kind, "reorder", lambda *_, **__: None)
    assert beam_search(many, prompt, settings, new_tokens=12, cache=name) != right


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_ngram_occurs_twice(many: Transformer, n: int) -> None:
    prompt = prompts(4, 5, vocabulary=23)
    free = beam_search(many, prompt, BeamSearch(width=3), new_tokens=20, cache="static")
    bound = BeamSearch(width=3, n_best=3, no_repeat_ngram=n)
    for row, unbound in zip(
        beam_search(many, prompt, bound, new_tokens=20, cache="static"), free, strict=True
    ):
        assert twice(unbound[0].tokens, n) or n == 3
        assert not any(twice(hypothesis.tokens, n) for hypothesis in row)
    assert any(twice(row[0].tokens, n) for row in free)


def twice(tokens: tuple[int, ...], n: int) -> bool:
    ngrams = [tokens[i : i + n] for i in range(len(tokens) - n + 1)]
    return len(set(ngrams)) < len(ngrams)


def test_scores_are_the_models_own_where_ngrams_may_not_repeat(four: Transformer) -> None:
    settings = BeamSearch(width=64, n_best=5, no_repeat_ngram=2)
    rows = beam_search(four, PROMPTS, settings, new_tokens=4, cache="static")
    for prompt, row in zip(PROMPTS, rows, strict=True):
        allowed = [
            scored
            for scored in brute_force(four, prompt, penalty="mean", end=None)
            if not twice(scored[0], 2)
        ]
        assert agrees([row], [allowed])


def test_where_every_token_would_repeat_hypotheses_end_early(four: Transformer) -> None:
    """Four tokens, none twice: there is no fifth."""
    settings = BeamSearch(width=30, n_best=24, no_repeat_ngram=1)
    rows = beam_search(four, PROMPTS, settings, new_tokens=6, cache="static")
    for row in rows:
        assert {tuple(sorted(hypothesis.tokens)) for hypothesis in row} == {(0, 1, 2, 3)}
        assert len({hypothesis.tokens for hypothesis in row}) == 24


def test_which_tokens_would_repeat() -> None:
    tokens = torch.tensor([[1, 2, 3, 1, 2], [1, 1, 1, 1, 1], [4, 3, 2, 1, 0]])
    rows, banned = repeated(tokens, n=3)
    assert set(zip(rows.tolist(), banned.tolist(), strict=True)) == {(0, 3), (1, 1)}
    rows, banned = repeated(tokens, n=1)
    assert set(zip(rows.tolist(), banned.tolist(), strict=True)) == {
        (0, 1),
        (0, 2),
        (0, 3),
        (1, 1),
        (2, 0),
        (2, 1),
        (2, 2),
        (2, 3),
        (2, 4),
    }
    assert repeated(tokens, n=6)[0].tolist() == []


@pytest.mark.parametrize(
    ("parents", "placed"),
    [
        ([2, 2, 0, 2], [(0, 2), (2, 1), (2, 0), (2, 3)]),
        ([0, 1, 2, 3], [(0, 0), (1, 1), (2, 2), (3, 3)]),
        ([3, 3, 3, 3], [(3, 1), (3, 2), (3, 3), (3, 0)]),
        ([1, 0, 1, 0], [(0, 1), (1, 0), (1, 2), (0, 3)]),
        ([3, 3], [(3, 1), (1, None), (2, None), (3, 0)]),
    ],
)
def test_one_child_of_each_parent_stays_in_its_place(
    parents: list[int], placed: list[tuple[int, int | None]]
) -> None:
    """The best child keeps the index; the others take free indices, best first; the rest stays empty."""
    children = [(-1.0 - rank, parent, rank) for rank, parent in enumerate(parents)]
    continued = settled(children, 4)
    assert [(parent, token if score > -math.inf else None) for score, parent, token in continued] == placed


def test_only_rows_whose_beam_died_out_are_copied(many: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each parent that lives on in a child keeps its own row, and of the others what beams have in common is
    not copied.
    """
    seen: list[Sequence[int]] = []
    copied: list[int] = []
    original = StaticCache.reorder

    def reorder(self: StaticCache, rows: Sequence[int], *, shared: Sequence[int] | None = None) -> None:
        assert shared is not None
        seen.append(rows)
        for row, (source, alike) in enumerate(zip(rows, shared, strict=True)):
            copied.append(self.length - alike if source != row else 0)
            for tensor in (*self._keys, *self._values):
                assert torch.equal(tensor[row, :, :alike], tensor[source, :, :alike])
                if source != row:
                    assert not torch.equal(tensor[row, :, alike], tensor[source, :, alike])
        original(self, rows, shared=shared)

    monkeypatch.setattr(StaticCache, "reorder", reorder)
    beam_search(many, prompts(3, 5, vocabulary=23), BeamSearch(width=4), new_tokens=12, cache="static")
    assert len(seen) == 10
    assert max(copied) > 1
    for rows in seen:
        assert all(rows[alive] == alive for alive in set(rows))


def ends_when_asked(stop: str, second: float) -> tuple[float, int]:
    """Token 1 ends. A short hypothesis is poor, a longer one better: how far is searched?"""
    table = torch.tensor([[0.55, 0.45, 0.0], [0.0, 1.0, 0.0], [second, 1 - second, 0.0]]).log()
    fed: list[int] = []

    class Counting(Markov):
        def next_logits(self, tokens: Tensor, **rest: object) -> Tensor:
            fed.append(1)
            return self.logits[tokens[:, -1]].clamp(min=-50)

    settings = BeamSearch.model_validate({"width": 2, "stop": stop})
    rows = beam_search(Counting(table), torch.tensor([[0]]), settings, new_tokens=30, cache="none", end=1)
    return rows[0][0].score, len(fed)


def test_enough_stops_early_and_bound_only_when_nothing_better_can_come() -> None:
    early, few = ends_when_asked("enough", 0.5)
    exact, steps = ends_when_asked("bound", 0.5)
    assert few < steps
    assert exact > early
    assert exact == pytest.approx(math.log(0.55))  # thirty times token 0


def test_what_cannot_be_searched_is_refused_before_anything_runs(four: Transformer) -> None:
    prompt = prompts(2, 5, vocabulary=4)
    cases: dict[str, dict[str, Any]] = {
        r"beam search: prompt and continuation need at least one token each, not 0 and 3": {
            "prompt": prompt[:, :0],
            "new_tokens": 3,
        },
        r"beam search: the prompt has no rows; give at least one": {"prompt": prompt[:0], "new_tokens": 3},
        r"prompt 5 \+ new tokens 44 exceed max_positions 48; reduce new_tokens": {
            "prompt": prompt,
            "new_tokens": 44,
        },
    }
    for text, arguments in cases.items():
        with pytest.raises(ValueError, match=text):
            beam_search(four, settings=BeamSearch(width=2), cache="static", **arguments)
    with pytest.raises(ValueError, match=r"^beam search: the model produced logits that are not finite"):
        beam_search(
            Markov(torch.full((3, 3), math.nan)),
            prompt[:, :1] % 3,
            BeamSearch(width=2),
            new_tokens=2,
            cache="none",
        )


def test_beams_are_searched_in_one_pass_a_step() -> None:
    rows: list[int] = []

    class Counting(Markov):
        def next_logits(self, tokens: Tensor, **rest: object) -> Tensor:
            rows.append(len(tokens))
            return self.logits[tokens[:, -1]]

    model = Counting(torch.randn(9, 9, generator=torch.Generator().manual_seed(0)))
    beam_search(model, prompts(4, 2, vocabulary=9), BeamSearch(width=3), new_tokens=4, cache="none")
    assert rows == [4, 12, 12, 12]


def test_logits_may_be_a_part_of_something_larger() -> None:
    """A model of one's own may cut them out of a wider tensor, which no view can join again."""
    table = torch.randn(9, 9, generator=torch.Generator().manual_seed(5))

    class Cutting(Markov):
        def next_logits(self, tokens: Tensor, **rest: object) -> Tensor:
            return torch.cat((table, table), dim=1)[tokens[:, -1]][:, :9]

    prompt, settings = prompts(3, 2, vocabulary=9), BeamSearch(width=3, n_best=3)
    rows = beam_search(Cutting(table), prompt, settings, new_tokens=6, cache="none", end=1)
    assert rows == beam_search(Markov(table), prompt, settings, new_tokens=6, cache="none", end=1)


def test_scores_of_a_model_in_low_precision_are_summed_in_float32() -> None:
    table = torch.randn(9, 9, generator=torch.Generator().manual_seed(3)).bfloat16()
    steps = table.double().log_softmax(-1)
    (row,) = beam_search(Markov(table), torch.tensor([[0]]), BeamSearch(width=3), new_tokens=40, cache="none")
    total, last = 0.0, 0
    for token in row[0].tokens:
        total, last = total + float(steps[last, token]), token
    assert row[0].log_probability == pytest.approx(total, rel=1e-6)
