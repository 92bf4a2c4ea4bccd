"""Closed forms against real tensors and counted operations.

The counter does not know the CPU's flash attention, so attention is counted in its written-out form.
"""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from models.cache import Cache
from models.config import CacheKind, ModelConfig, model_config
from models.cost import cache_bytes, flops_per_token, parameter_count
from models.decoding.greedy import greedy
from models.init import build_model
from models.transformer import Transformer

CONFIG = model_config(
    {"d_model": 16, "n_layers": 3, "n_heads": 2, "d_ff": 40, "max_positions": 64}, vocab_size=31
)
VARIANTS = [
    ModelConfig.model_validate(
        {
            **CONFIG.model_dump(),
            "position": {"kind": position},
            "norm": {"kind": norm},
            "norm_placement": placement,
            "tie_embeddings": tied,
        }
    )
    for position, norm, placement, tied in product(
        ("sinusoidal", "learned", "rotary"), ("layernorm", "rmsnorm"), ("pre", "post"), (True, False)
    )
]


@pytest.mark.parametrize(
    "config", VARIANTS, ids=lambda c: f"{c.position.kind}-{c.norm.kind}-{c.norm_placement}"
)
def test_parameters(config: ModelConfig) -> None:
    assert parameter_count(config) == sum(parameter.numel() for parameter in Transformer(config).parameters())


@pytest.mark.parametrize(("batch", "tokens"), [(1, 1), (3, 17)])
def test_flops_of_a_forward_pass(batch: int, tokens: int) -> None:
    model = build_model(CONFIG, 0).eval()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros((batch, tokens), dtype=torch.long))
    assert counter.get_total_flops() == batch * tokens * flops_per_token(CONFIG, keys=tokens)


def test_flops_of_a_cached_step() -> None:
    model = build_model(CONFIG, 0).eval()
    with torch.inference_mode():
        cache = model.new_cache("static", batch=2, capacity=12)
        model(torch.zeros((2, 11), dtype=torch.long), cache=cache)
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            model.next_logits(torch.zeros((2, 1), dtype=torch.long), cache=cache)
    assert counter.get_total_flops() == 2 * flops_per_token(CONFIG, keys=12)


@pytest.mark.parametrize("kind", get_args(CacheKind))
@pytest.mark.parametrize(("prompt", "new_tokens"), [(1, 1), (10, 7), (16, 1), (10, 8), (5, 50)])
def test_bytes_of_a_cache_after_greedy_decoding(
    kind: CacheKind, prompt: int, new_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build_model(CONFIG, 0).eval()
    made: list[Cache | None] = []
    original = model.new_cache

    def remember(kind: CacheKind, *, batch: int, capacity: int) -> Cache | None:
        made.append(original(kind, batch=batch, capacity=capacity))
        return made[-1]

    monkeypatch.setattr(model, "new_cache", remember)
    greedy(model, torch.zeros((2, prompt), dtype=torch.long), new_tokens=new_tokens, cache=kind)
    expected = cache_bytes(CONFIG, kind, batch=2, prompt=prompt, new_tokens=new_tokens, bytes_per_value=4)
    assert [0 if cache is None else cache.nbytes for cache in made] == [expected]
