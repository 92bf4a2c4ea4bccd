"""Greedy decoding: the same tokens with every cache, in steps and at once, padded and alone."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from harness.models.cache import Cache, CacheShape, make_cache
from harness.models.config import CachedToken, CacheKind
from harness.models.decoding.greedy import greedy, greedy_steps
from harness.models.init import build_model
from harness.models.transformer import Transformer
from tests.models.configs import model_config

KINDS = get_args(CacheKind)


@pytest.fixture(scope="module")
def model() -> Transformer:
    sizes = {"d_model": 16, "n_layers": 2, "n_heads": 2, "d_ff": 32, "max_positions": 48}
    return (
        build_model(model_config(sizes | {"tie_embeddings": False, "init_std": 1.0}, vocab_size=29), 0)
        .double()
        .eval()
    )


def prompt(*shape: int) -> Tensor:
    return torch.randint(29, shape, generator=torch.Generator().manual_seed(2))


def argmax_again_and_again(model: Transformer, tokens: Tensor, new_tokens: int) -> Tensor:
    start = tokens.shape[1]
    for _ in range(new_tokens):
        tokens = torch.cat((tokens, model(tokens)[:, -1:].argmax(-1)), dim=1)
    return tokens[:, start:]


@pytest.mark.parametrize("kind", KINDS)
def test_every_cache_gives_the_argmax_of_the_whole_prefix(model: Transformer, kind: CacheKind) -> None:
    expected = argmax_again_and_again(model, prompt(3, 6), 30)
    assert len(set(expected.flatten().tolist())) > 5  # a constant continuation would show little
    assert torch.equal(greedy(model, prompt(3, 6), new_tokens=30, cache=kind), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_padded_on_the_left_continues_as_it_does_alone(model: Transformer, kind: CacheKind) -> None:
    batch, valid = prompt(2, 8), torch.ones(2, 8, dtype=torch.bool)
    valid[0, :5] = False
    together = greedy(model, batch, new_tokens=20, cache=kind, valid=valid)
    assert torch.equal(together[:1], greedy(model, batch[:1, 5:], new_tokens=20, cache=kind))
    assert torch.equal(together[1:], greedy(model, batch[1:], new_tokens=20, cache=kind))


class Recorder:
    """A model of 4 tokens that always wants the next one, and writes down what it was fed."""

    max_positions = 12

    def __init__(self) -> None:
        self.fed: list[list[int]] = []

    def new_cache(self, kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        if kind == "none":
            return None
        sizes = CacheShape(
            layers=1,
            batch=batch,
            token=CachedToken(1, 1, 1),
            capacity=capacity,
            dtype=torch.float32,
            device=torch.device("cpu"),
        )
        return make_cache(kind, sizes)

    def next_logits(self, tokens: Tensor, *, cache: Cache | None, valid: Tensor | None) -> Tensor:
        self.fed.append(tokens[0].tolist())
        return torch.nn.functional.one_hot((tokens[:, -1] + 1) % 4, 4).float()


@pytest.mark.parametrize(
    ("kind", "fed"), [("none", [[0, 1], [0, 1, 2], [0, 1, 2, 3]]), ("dynamic", [[0, 1], [2], [3]])]
)
def test_the_prompt_is_the_first_step_and_the_last_token_is_never_fed(
    kind: CacheKind, fed: list[list[int]]
) -> None:
    recorder = Recorder()
    steps = greedy_steps(recorder, torch.tensor([[0, 1]]), new_tokens=3, cache=kind)
    assert recorder.fed == []
    assert next(steps).tolist() == [2]
    assert recorder.fed == fed[:1]
    assert [step.tolist() for step in steps] == [[3], [0]]
    assert recorder.fed == fed


@pytest.mark.parametrize("kind", KINDS)
def test_the_caller_is_not_left_in_inference_mode(model: Transformer, kind: CacheKind) -> None:
    for token in greedy_steps(model, prompt(1, 4), new_tokens=3, cache=kind):
        assert token.is_inference()
        assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_decoded_is_refused_before_anything_runs(kind: CacheKind) -> None:
    recorder = Recorder()
    one_padded_at_the_end = torch.tensor([[True, False]])
    for text, arguments in {
        "prompt 2 \\+ new tokens 11 exceed max_positions 12": {"new_tokens": 11},
        "prompt and continuation need at least one token each, not 2 and 0": {"new_tokens": 0},
        "pad on the left": {"new_tokens": 2, "valid": one_padded_at_the_end},
        r"valid has shape \(1, 1\), but the prompt has \(1, 2\)": {
            "new_tokens": 2,
            "valid": one_padded_at_the_end[:, :1],
        },
    }.items():
        with pytest.raises(ValueError, match=text):
            greedy_steps(recorder, torch.tensor([[0, 1]]), cache=kind, **arguments)  # type: ignore[arg-type]
    assert recorder.fed == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_in_training_mode_is_refused(model: Transformer, kind: CacheKind) -> None:
    training = build_model(model.config, 0)
    with pytest.raises(ValueError, match="training mode"):
        greedy(training, prompt(1, 3), new_tokens=2, cache=kind)
