"""Closed forms against real tensors and counted operations.

The counter does not know the CPU's flash attention, so attention is counted in its written-out form.
"""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.models.cache import Cache
from harness.models.config import CacheKind, EncoderDecoderConfig, ModelConfig
from harness.models.cost import (
    cache_bytes,
    decoder_flops_per_token,
    encoder_flops_per_token,
    flops_per_token,
    parameter_count,
)
from harness.models.decoding.greedy import greedy
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.init import build_model
from harness.models.transformer import Transformer
from tests.models.configs import model_config

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


PARTS: list[dict[str, Any]] = [
    {"attention": {"n_kv_heads": 1, "head_width": 6, "qkv_bias": False, "projection": "fused"}},
    {"attention": {"kernel": {"kind": "materialised"}, "qk_norm": {"over": "all-heads"}, "windows": [3]}},
    {"attention": {"out_bias": False, "qk_norm": {"norm": {"kind": "layernorm"}}}},
    {"feedforward": {"kind": "gated", "bias": True}, "norm_placement": "both"},
    {"feedforward": {"kind": "plain", "bias": False}, "norm": {"kind": "non-parametric"}},
    {"position": {"kind": "learned", "offset": 2}, "embedding_norm": {"kind": "layernorm"}},
    {"position": {"kind": "relative"}, "output": {"bias": True}, "final_norm": "never"},
    {"embedding": {"kind": "pretrained", "width": 5}, "tie_embeddings": False, "norm_placement": "output"},
]
PLAIN = CONFIG.model_dump(exclude={"kind", "n_layers"})
SOURCE, TARGET = 9, 6


def counted(model: Transformer | EncoderDecoder, *inputs: torch.Tensor) -> int:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*inputs)
    total: int = counter.get_total_flops()
    return total


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_parameters_and_flops_of_every_part(part: dict[str, Any]) -> None:
    config = ModelConfig.model_validate({**PLAIN, "n_layers": 3, **part})
    model = Transformer(config).eval()
    assert parameter_count(config) == sum(parameter.numel() for parameter in model.parameters())
    tokens = torch.zeros((2, 7), dtype=torch.long)
    assert counted(model, tokens) == 2 * 7 * flops_per_token(config, keys=7)


@pytest.mark.parametrize(
    ("part", "source_vocab_size"),
    # Word vectors fill one table: there is none for a source's own vocabulary.
    [(part, size) for part in PARTS for size in (None, 17) if size is None or "embedding" not in part],
    ids=str,
)
def test_parameters_and_flops_of_an_encoder_decoder(
    part: dict[str, Any], source_vocab_size: int | None
) -> None:
    layers = {"n_encoder_layers": 2, "n_decoder_layers": 3, "source_vocab_size": source_vocab_size}
    config = EncoderDecoderConfig.model_validate({**PLAIN, **layers, **part})
    model = EncoderDecoder(config).eval()
    assert parameter_count(config) == sum(parameter.numel() for parameter in model.parameters())
    source, target = (torch.zeros((2, length), dtype=torch.long) for length in (SOURCE, TARGET))
    expected = SOURCE * encoder_flops_per_token(config, source=SOURCE)
    expected += TARGET * decoder_flops_per_token(config, keys=TARGET, source=SOURCE)
    assert counted(model, source, target) == 2 * expected


@pytest.mark.parametrize("kind", ["dynamic", "static", "doubling"])
def test_bytes_of_a_cache_with_a_source(kind: CacheKind) -> None:
    layers = {"n_encoder_layers": 1, "n_decoder_layers": 3, "attention": {"n_kv_heads": 1}}
    config = EncoderDecoderConfig.model_validate({**PLAIN, **layers})
    decoder = build_model(config, 0).eval().bind(torch.zeros((2, SOURCE), dtype=torch.long))
    with torch.inference_mode():
        cache = decoder.new_cache(kind, batch=4, capacity=20)
        assert cache
        decoder.next_logits(torch.zeros((4, 20), dtype=torch.long), cache=cache, valid=None)
    target = cache_bytes(config, kind, batch=4, prompt=20, new_tokens=1, bytes_per_value=4)
    width = config.d_model // config.n_heads  # one head of keys and one of values, for each of 3 layers
    source = 3 * 2 * SOURCE * (width + width) * 4
    assert cache.nbytes == target + source
