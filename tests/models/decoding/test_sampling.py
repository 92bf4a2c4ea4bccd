"""Filters against their definitions, written out; what is drawn against the filtered distribution."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from harness.models.decoding import sampling
from harness.models.decoding.config import Filter, MinP, Sampling, Temperature, TopK, TopP
from harness.models.decoding.greedy import greedy
from harness.models.decoding.sampling import distribution, draw, filtered, min_p, sample, top_k, top_p
from tests.models.decoding.small import Markov, p_value

LOGITS = st.lists(st.floats(-8, 8), min_size=1, max_size=9)
SHARE = st.floats(0.01, 1.0)


def finite_indices(logits: Tensor) -> list[int]:
    return (logits > -math.inf).nonzero().flatten().tolist()


@settings(max_examples=200, derandomize=True)
@given(values=LOGITS, k=st.integers(1, 12), p=SHARE)
def test_each_filter_keeps_what_its_definition_says(values: list[float], k: int, p: float) -> None:
    logits = torch.tensor(values, dtype=torch.float64)
    probabilities = logits.softmax(0).tolist()
    ranked = sorted(range(len(values)), key=lambda i: -values[i])

    kth = values[ranked[min(k, len(values)) - 1]]
    assert finite_indices(top_k(logits, k)) == [i for i, value in enumerate(values) if value >= kth]

    fewest, reached = [], 0.0
    for token in ranked:
        if reached >= p * (1 - 1e-12) and p < 1:
            break
        fewest.append(token)
        reached += probabilities[token]
    nucleus = finite_indices(top_p(logits, p))
    at_the_edge = abs(reached - p) < 1e-9 or abs(reached - probabilities[fewest[-1]] - p) < 1e-9
    assert nucleus == sorted(fewest) or at_the_edge

    near_the_edge = [abs(probability - p * max(probabilities)) < 1e-12 for probability in probabilities]
    likely = [i for i, probability in enumerate(probabilities) if probability >= p * max(probabilities)]
    assert finite_indices(min_p(logits, p)) == likely or any(near_the_edge)


@settings(max_examples=50, derandomize=True)
@given(values=LOGITS, k=st.integers(1, 12), p=SHARE)
def test_the_best_token_stays_and_what_stays_is_not_changed(values: list[float], k: int, p: float) -> None:
    logits = torch.tensor(values)
    for result in (top_k(logits, k), top_p(logits, p), min_p(logits, p)):
        best = int(logits.argmax())
        assert result[best] == logits[best]
        assert torch.equal(result[finite_indices(result)], logits[finite_indices(result)])


def test_rows_are_filtered_each_for_itself_and_in_the_order_asked_for() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0], [5.0, 0.0, 0.0]]).log_softmax(-1)
    assert [finite_indices(row) for row in top_p(logits, 0.7)] == [[1, 2], [0]]
    hot_first = (Temperature(value=100.0), TopP(p=0.7))
    assert [finite_indices(row) for row in filtered(logits, hot_first)] == [[0, 1, 2], [0, 1, 2]]
    assert [finite_indices(row) for row in filtered(logits, hot_first[::-1])] == [[1, 2], [0]]


def test_an_impossible_token_is_never_drawn() -> None:
    probabilities = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]]).double().repeat(4, 1)
    numbers = torch.tensor([0.0, 0.5 - 2**-53, 0.5, 1 - 2**-53], dtype=torch.float64)
    assert draw(probabilities, numbers).tolist() == [1, 1, 3, 3]


TABLE = torch.randn(7, 7, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
RECIPES: dict[str, tuple[Filter, ...]] = {
    "nothing": (),
    "cold": (Temperature(value=0.5),),
    "hot": (Temperature(value=2.0),),
    "top-k": (TopK(k=3),),
    "top-p": (TopP(p=0.6),),
    "min-p": (MinP(p=0.2),),
    "all": (Temperature(value=1.5), TopK(k=5), TopP(p=0.9), MinP(p=0.05)),
}


STEPS = {name: filtered(TABLE, recipe).softmax(-1) for name, recipe in RECIPES.items()}


def agreement(name: str) -> float:
    """Of two tokens that follow token 0, 8,000 times."""
    model = Markov(TABLE)
    prompt = torch.zeros((8000, 1), dtype=torch.long)
    drawn = sample(model, prompt, Sampling(filters=RECIPES[name], seed=1), new_tokens=2, cache="none")
    step = STEPS[name]
    return p_value(drawn[:, 0] * 7 + drawn[:, 1], (step[0][:, None] * step).flatten())


@pytest.mark.parametrize("name", RECIPES)
def test_tokens_are_drawn_as_often_as_the_filtered_distribution_says(name: str) -> None:
    assert agreement(name) > 1e-3


@pytest.mark.parametrize("value", [1e-12, 1e-307, 5e-324])
@pytest.mark.parametrize("offset", [-20.0, 0.0, 20.0])
@pytest.mark.parametrize("others", [(), (TopK(k=3),), (TopP(p=0.6), MinP(p=0.2))])
def test_a_temperature_near_zero_gives_the_greedy_tokens(
    value: float, offset: float, others: tuple[Filter, ...]
) -> None:
    model, prompt = Markov(TABLE + offset), torch.arange(7)[:, None]
    wanted = greedy(model, prompt, new_tokens=6, cache="none")
    cold = Temperature(value=value)
    for recipe in ((cold, *others), (*others, cold)):
        drawn = sample(model, prompt, Sampling(filters=recipe), new_tokens=6, cache="none")
        assert torch.equal(drawn, wanted)
        assert distribution("sampling", model.logits, recipe).isfinite().all()


def one_too_many(logits: Tensor, k: int) -> Tensor:
    return top_k(logits, k + 1)


def reached_without_the_last(logits: Tensor, p: float) -> Tensor:
    return top_p(logits, max(p - 0.2, 0.01))


def not_of_the_best(logits: Tensor, p: float) -> Tensor:
    return logits.masked_fill(logits.softmax(-1) < p, -math.inf)


@pytest.mark.parametrize(
    ("name", "bug"),
    [("top-k", one_too_many), ("top-p", reached_without_the_last), ("min-p", not_of_the_best)],
)
def test_a_wrong_filter_shows_in_the_frequencies(
    name: str, bug: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, name.replace("-", "_"), bug)
    assert agreement(name) < 1e-6


def test_numbers_that_are_used_twice_show_in_the_frequencies(monkeypatch: pytest.MonkeyPatch) -> None:
    original = sampling.uniforms
    monkeypatch.setattr(
        sampling,
        "uniforms",
        lambda *arguments, device: original(*arguments, device=device)[:, :1].repeat(1, 2),
    )
    assert agreement("nothing") < 1e-6


def test_no_finite_logit_is_one_line() -> None:
    for value in (math.nan, -math.inf, math.inf):
        model = Markov(torch.full((3, 3), value))
        with pytest.raises(
            ValueError, match=r"^sampling: the model produced logits that are not finite; check"
        ):
            sample(model, torch.zeros((1, 1), dtype=torch.long), Sampling(), new_tokens=2, cache="none")
