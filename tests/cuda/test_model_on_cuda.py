"""The transformer gives on a GPU what it gives on the CPU: logits, gradients, tokens, bytes."""

from __future__ import annotations

import copy
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from harness.models.attention_kernels import BACKENDS
from harness.models.config import CacheKind, EncoderDecoderConfig, ModelConfig
from harness.models.decoding.decode import decode
from harness.models.decoding.speculative import TargetAndDraft
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.init import build_model
from harness.models.loss import cross_entropy
from harness.models.transformer import Transformer
from tests.models.decoding.settings import decoding_config

SIZES: dict[str, Any] = {
    "vocab_size": 29,
    "d_model": 32,
    "n_layers": 2,
    "n_heads": 4,
    "d_ff": 48,
    "max_positions": 64,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sinusoidal, post-norm": {"position": {"kind": "sinusoidal"}, "norm_placement": "post"},
    "learned, tied": {"position": {"kind": "learned"}, "tie_embeddings": True},
    "rotary, grouped": {"position": {"kind": "rotary"}, "attention": {"n_kv_heads": 2}},
    "alibi": {"position": {"kind": "alibi"}},
    "relative, windows, capped": {
        "position": {"kind": "relative"},
        "attention": {"kernel": {"kind": "materialised"}, "windows": [4, None], "soft_cap": 5.0},
    },
}
CACHES: tuple[CacheKind, ...] = get_args(CacheKind)


def numbers(*size: int, seed: int = 0) -> Tensor:
    return torch.randint(29, size, generator=torch.Generator().manual_seed(seed))


def decoder(dtype: torch.dtype = torch.float64, **settings: Any) -> Transformer:
    return build_model(ModelConfig.model_validate({**SIZES, **settings}), 0, dtype=dtype)


def close(actual: Tensor, expected: Tensor, tolerance: float, *, least: float = 0.0) -> None:
    """To within `tolerance` of the largest expected value, or of `least` where that is more."""
    largest = max(expected.abs().max().item(), least)
    assert (actual.cpu() - expected.cpu()).abs().max().item() <= tolerance * largest


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_logits_and_gradients(
    variant: str, dtype: torch.dtype, tolerance: float, device: torch.device
) -> None:
    model = decoder(dtype, **VARIANTS[variant])
    twin = copy.deepcopy(model).to(device)
    tokens = numbers(3, 17)
    sides = []
    for side, side_device in ((model, "cpu"), (twin, str(device))):
        logits = side(tokens[:, :-1].to(side_device))
        torch.autograd.backward(cross_entropy(logits, tokens[:, 1:].to(side_device)))
        sides.append([logits.detach(), *(p.grad for p in side.parameters() if p.grad is not None)])
    assert len(sides[0]) == len(sides[1]) > 2
    # A key's bias moves all logits of a query alike, so its gradient is 0, and what is found is nothing but
    # rounding.
    least = 1e-3 * max(gradient.abs().max().item() for gradient in sides[0][1:])
    for expected, actual in zip(*sides, strict=True):
        assert actual.device == device
        close(actual, expected, tolerance, least=least)


def test_an_encoder_decoder_with_padding(device: torch.device) -> None:
    settings = {name: value for name, value in SIZES.items() if name != "n_layers"}
    config = EncoderDecoderConfig.model_validate({**settings, "n_encoder_layers": 2, "n_decoder_layers": 2})
    model = build_model(config, 0, dtype=torch.float64).eval()
    twin = copy.deepcopy(model).to(device)
    source, target = numbers(3, 9), numbers(3, 6, seed=1)
    valid = torch.arange(9) < torch.tensor([[9], [4], [7]])
    assert isinstance(model, EncoderDecoder)
    expected = model(source, target, source_valid=valid)
    actual = twin(source.to(device), target.to(device), source_valid=valid.to(device))
    close(actual, expected, 1e-10)


@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_every_backend_of_sdpa_agrees_with_materialised_attention(backend: str, device: torch.device) -> None:
    wide = {"d_model": 128, "n_heads": 2}  # the fused kernels want heads of 64
    kernels = ({"kind": "sdpa", "backends": [backend]}, {"kind": "materialised"})
    tokens = numbers(2, 33).to(device)
    sides = []
    for kernel in kernels:
        model = decoder(torch.float32, **wide, attention={"kernel": kernel}).to(device, torch.bfloat16).eval()
        with torch.inference_mode():
            sides.append(model(tokens).float())
    close(sides[0], sides[1], 3e-2)  # bfloat16 keeps 8 bits: 2^-8 a rounding, several of them


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize(
    "settings",
    [{"kind": "greedy"}, {"kind": "beam", "width": 3}, {"kind": "beam", "width": 4, "no_repeat_ngram": 2}],
    ids=str,
)
def test_decoding_gives_the_tokens_of_the_cpu(
    cache: CacheKind, settings: dict[str, Any], device: torch.device
) -> None:
    model = decoder(init_std=0.3).eval()
    twin = copy.deepcopy(model).to(device)
    prompt, how = numbers(3, 5), decoding_config(settings)
    valid = torch.arange(5) >= torch.tensor([[0], [2], [1]])
    expected = decode(model, prompt, how, new_tokens=20, cache="none", end=7, valid=valid)
    actual = decode(twin, prompt.to(device), how, new_tokens=20, cache=cache, end=7, valid=valid.to(device))
    assert actual == expected


@pytest.mark.parametrize(
    "filters",
    [[], [{"kind": "top-k", "k": 5}], [{"kind": "top-p", "p": 0.8}], [{"kind": "min-p", "p": 0.1}]],
    ids=str,
)
def test_sampling_draws_the_tokens_of_the_cpu(filters: list[dict[str, Any]], device: torch.device) -> None:
    """Random numbers are drawn on the CPU, so a seed means the same everywhere."""
    model = decoder(init_std=0.3).eval()
    twin = copy.deepcopy(model).to(device)
    how = decoding_config({"kind": "sampling", "filters": filters, "seed": 5})
    prompt = numbers(3, 5)
    expected = decode(model, prompt, how, new_tokens=20, cache="static")
    assert decode(twin, prompt.to(device), how, new_tokens=20, cache="static") == expected


def test_speculative_decoding_gives_the_targets_tokens(device: torch.device) -> None:
    target = decoder(init_std=0.3).eval().to(device)
    draft = decoder(init_std=0.3, n_layers=1).eval().to(device)
    prompt = numbers(3, 5).to(device)
    expected = decode(target, prompt, decoding_config({"kind": "greedy"}), new_tokens=20, cache="static")
    how = decoding_config({"kind": "speculative", "draft_tokens": 3})
    assert decode(TargetAndDraft(target, draft), prompt, how, new_tokens=20, cache="static") == expected


@pytest.mark.parametrize(
    "how", [{"kind": "blocks"}, {"kind": "blocks", "every": 2}, {"kind": "attention"}], ids=str
)
def test_checkpointing_keeps_dropout_and_saves_memory(how: dict[str, Any], device: torch.device) -> None:
    tokens = numbers(16, 64).to(device)
    actual, peaks = [], []
    for checkpointing in ({"kind": "none"}, how):
        sizes = {"d_model": 128, "d_ff": 512, "n_layers": 4, "dropout": 0.1}
        model = decoder(torch.float32, **sizes, checkpointing=checkpointing).to(device)
        torch.manual_seed(3)
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        loss = cross_entropy(model(tokens), tokens)
        torch.autograd.backward(loss)
        peaks.append(torch.cuda.max_memory_allocated() - before)
        actual.append((loss.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]))
        del model, loss
    assert torch.equal(actual[0][0], actual[1][0])
    for expected, again in zip(actual[0][1], actual[1][1], strict=True):
        close(again, expected, 1e-5)
    assert peaks[1] < peaks[0]


def test_a_compiled_step_of_decoding_agrees(device: torch.device) -> None:
    model = decoder(torch.float32).eval().to(device)
    step = torch.compile(model.next_logits, fullgraph=True)
    prompt = numbers(2, 5).to(device)
    with torch.inference_mode():
        caches = [model.new_cache("static", batch=2, capacity=20) for _ in range(2)]
        for cache in caches:
            model.next_logits(prompt, cache=cache)
        for token in torch.split(numbers(2, 3, seed=4).to(device), 1, dim=1):
            expected = model.next_logits(token, cache=caches[0])
            close(step(token, cache=caches[1]), expected, 1e-5)
