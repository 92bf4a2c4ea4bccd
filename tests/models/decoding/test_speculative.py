"""Speculative decoding says what its target says: token for token, or in distribution."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from harness.models.config import CacheKind
from harness.models.decoding import speculative as speculative_module
from harness.models.decoding.config import Filter, Sampling, Speculative, Temperature, TopK
from harness.models.decoding.greedy import greedy
from harness.models.decoding.speculative import TargetAndDraft, speculative
from harness.models.transformer import Transformer
from tests.models.decoding.small import Markov, log_probabilities, p_value, perturbed, prompts, tiny

KINDS = get_args(CacheKind)
END = 8


@pytest.fixture(scope="module")
def target() -> Transformer:
    return tiny(vocabulary=19, positions=32)


@pytest.fixture(scope="module")
def drafts(target: Transformer) -> dict[str, Transformer]:
    """Always right, often right, never right."""
    return {
        "same": target,
        "near": perturbed(target, std=0.12),
        "other": tiny(7, vocabulary=19, positions=32),
    }


PROMPT = prompts(5, 8, vocabulary=19)
VALID = torch.arange(8) >= torch.tensor([[5], [0], [0], [2], [0]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["same", "near", "other"])
@pytest.mark.parametrize(
    ("draft_tokens", "end", "valid"), [(1, None, None), (4, END, VALID), (7, None, VALID)]
)
def test_greedy_tokens_are_the_targets_whatever_the_draft_says(
    target: Transformer,
    drafts: dict[str, Transformer],
    name: str,
    draft_tokens: int,
    kind: CacheKind,
    end: int | None,
    valid: Tensor | None,
) -> None:
    """To the last position of the model."""
    made = speculative(
        TargetAndDraft(target, drafts[name]),
        PROMPT,
        Speculative(draft_tokens=draft_tokens),
        new_tokens=24,
        cache=kind,
        end=end,
        valid=valid,
    )
    assert torch.equal(made.tokens, greedy(target, PROMPT, new_tokens=24, cache="none", end=end, valid=valid))
    assert made.accepted <= made.drafted
    if name == "same":
        assert made.acceptance_rate == 1.0
        longest = made.tokens.shape[1]
        assert made.rounds == math.ceil((longest - 1) / (draft_tokens + 1))
    else:
        assert made.acceptance_rate < 0.7


def test_rows_accept_at_their_own_pace(target: Transformer, drafts: dict[str, Transformer]) -> None:
    """So the slowest row alone decides how often the target runs."""
    settings = Speculative(draft_tokens=3)
    pair = TargetAndDraft(target, drafts["near"])
    rounds = [
        speculative(pair, PROMPT[row : row + 1], settings, new_tokens=24, cache="static").rounds
        for row in range(5)
    ]
    assert len(set(rounds)) > 1
    assert speculative(pair, PROMPT, settings, new_tokens=24, cache="static").rounds == max(rounds)


def test_nothing_is_drafted_for_one_token(target: Transformer) -> None:
    made = speculative(TargetAndDraft(target, target), PROMPT, Speculative(), new_tokens=1, cache="static")
    assert torch.equal(made.tokens, greedy(target, PROMPT, new_tokens=1, cache="none"))
    assert (made.drafted, made.rounds) == (0, 0)
    assert math.isnan(made.acceptance_rate)


ROWS = 3000
PREFIX = prompts(1, 3, vocabulary=5)
RECIPES: dict[str, tuple[Filter, ...]] = {
    "as it is": (),
    "filtered": (Temperature(value=0.8), TopK(k=3)),
}


@pytest.fixture(scope="module")
def five() -> tuple[Transformer, Transformer]:
    model = tiny(3, vocabulary=5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.6)  # flatter, so that many continuations are likely
    return model, perturbed(model, std=0.2)


def exact(model: Transformer, *, recipe: tuple[Filter, ...]) -> dict[tuple[int, ...], float]:
    """The filtered distribution over continuations of up to 4 tokens."""
    totals = log_probabilities(model, PREFIX[0], new_tokens=4, end=0, filters=recipe)
    return {tokens: math.exp(total) for tokens, total in totals.items()}


def agreement(
    pair: TargetAndDraft,
    expected: dict[tuple[int, ...], float],
    *,
    recipe: tuple[Filter, ...],
    kind: CacheKind,
) -> float:
    settings = Speculative(draft_tokens=2, choose=Sampling(filters=recipe, seed=11))
    made = speculative(pair, PREFIX.expand(ROWS, -1), settings, new_tokens=4, cache=kind, end=0)
    assert 0.2 < made.acceptance_rate < 0.9
    cells = {tokens: cell for cell, tokens in enumerate(expected)}
    drawn = [cells[tuple(row[: row.index(0) + 1] if 0 in row else row)] for row in made.tokens.tolist()]
    return p_value(torch.tensor(drawn), torch.tensor(list(expected.values())))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", RECIPES)
def test_samples_have_the_targets_distribution(
    five: tuple[Transformer, Transformer], name: str, kind: CacheKind
) -> None:
    target, draft = five
    expected = exact(target, recipe=RECIPES[name])
    assert math.isclose(sum(expected.values()), 1.0)
    assert agreement(TargetAndDraft(target, draft), expected, recipe=RECIPES[name], kind=kind) > 1e-3


def all_of_it(p: Tensor, _: Tensor) -> Tensor:
    return p


def how_many(true: Tensor) -> Tensor:
    return true.sum(dim=1)


@pytest.mark.parametrize(
    ("function", "bug"),
    [("residual", all_of_it), ("leading", how_many), ("_roll_back", lambda *_: None)],
    ids=["redrawn from all", "accepted after a rejection", "not rolled back"],
)
def test_a_planted_bug_shows_in_the_distribution(
    five: tuple[Transformer, Transformer],
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    bug: object,
) -> None:
    target, draft = five
    expected = exact(target, recipe=())
    monkeypatch.setattr(speculative_module, function, bug)
    assert agreement(TargetAndDraft(target, draft), expected, recipe=(), kind="doubling") < 1e-6


def test_one_seed_is_one_result_with_every_cache(five: tuple[Transformer, Transformer]) -> None:
    settings = Speculative(draft_tokens=3, choose=Sampling(seed=4))
    prompt = prompts(6, 4, vocabulary=5)
    made = {
        kind: speculative(
            TargetAndDraft(*five), prompt, settings, new_tokens=20, cache=kind, end=0
        ).tokens.tolist()
        for kind in KINDS
    }
    assert all(tokens == made["none"] for tokens in made.values())
    other = Speculative(draft_tokens=3, choose=Sampling(seed=5))
    assert (
        speculative(TargetAndDraft(*five), prompt, other, new_tokens=20, cache="none", end=0).tokens.tolist()
        != made["none"]
    )


def test_what_cannot_be_speculated_is_refused_in_one_line(target: Transformer) -> None:
    short = tiny(vocabulary=19, positions=20)
    with pytest.raises(ValueError, match=r"^speculative: prompt 8 \+ new tokens 13 exceed max_positions 20"):
        speculative(TargetAndDraft(target, short), PROMPT, Speculative(), new_tokens=13, cache="static")
    with pytest.raises(
        ValueError,
        match=r"target has a vocabulary of 19 tokens and the draft one of 5; use models with the same",
    ):
        speculative(
            TargetAndDraft(target, tiny(vocabulary=5)), PROMPT % 5, Speculative(), new_tokens=3, cache="none"
        )
    broken = Markov(torch.full((19, 19), math.nan))
    for choose in ({"kind": "greedy"}, {"kind": "sampling"}):
        settings = Speculative.model_validate({"choose": choose})
        with pytest.raises(ValueError, match=r"^speculative: the model produced logits that are not finite"):
            speculative(TargetAndDraft(broken, target), PROMPT, settings, new_tokens=3, cache="none")
