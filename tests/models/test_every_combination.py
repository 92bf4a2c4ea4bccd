"""Whatever the config allows can be built, trained and decoded."""

from __future__ import annotations

from typing import Any, get_args

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.config import CacheKind, ModelConfig
from models.decoding.greedy import greedy
from models.init import build_model
from models.loss import cross_entropy


@st.composite
def configs(draw: st.DrawFn) -> ModelConfig:
    heads = draw(st.integers(1, 3))
    settings_: dict[str, Any] = {
        "vocab_size": draw(st.integers(2, 17)),
        "d_model": heads * 2 * draw(st.integers(1, 4)),
        "n_layers": draw(st.integers(1, 3)),
        "n_heads": heads,
        "d_ff": draw(st.integers(1, 12)),
        "max_positions": 40,
        "position": {"kind": draw(st.sampled_from(["sinusoidal", "learned", "rotary"]))},
        "norm": {"kind": draw(st.sampled_from(["layernorm", "rmsnorm"]))},
        "norm_placement": draw(st.sampled_from(["pre", "post"])),
        "activation": draw(st.sampled_from(["relu", "gelu", "silu"])),
        "dropout": draw(st.sampled_from([0.0, 0.2])),
        "tie_embeddings": draw(st.booleans()),
        "init_std": draw(st.sampled_from([0.02, 0.3])),
    }
    return ModelConfig.model_validate(settings_)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(config=configs(), seed=st.integers(0, 2**32), data=st.data())
def test_it_trains_and_decodes_alike_with_every_cache(
    config: ModelConfig, seed: int, data: st.DataObject
) -> None:
    model = build_model(config, seed, dtype=torch.float64)
    tokens = torch.randint(config.vocab_size, (2, 7), generator=torch.Generator().manual_seed(seed))
    cross_entropy(model(tokens[:, :-1]), tokens[:, 1:]).backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    torch.optim.SGD(model.parameters(), lr=0.1).step()

    model.eval()
    new_tokens = data.draw(st.integers(1, 33))
    decoded = {kind: greedy(model, tokens, new_tokens=new_tokens, cache=kind) for kind in get_args(CacheKind)}
    for kind, continuation in decoded.items():
        assert torch.equal(continuation, decoded["none"]), kind


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    d_model=st.integers(1, 12),
    heads=st.integers(1, 4),
    position=st.sampled_from(["sinusoidal", "learned", "rotary"]),
)
def test_sizes_are_either_refused_when_read_or_can_be_run(d_model: int, heads: int, position: str) -> None:
    try:
        config = ModelConfig.model_validate(
            {
                "vocab_size": 3,
                "d_model": d_model,
                "n_heads": heads,
                "position": {"kind": position},
                "n_layers": 1,
                "d_ff": 2,
                "max_positions": 4,
            }
        )
    except ValidationError:
        return
    assert build_model(config, 0)(torch.zeros((1, 4), dtype=torch.long)).shape == (1, 4, 3)
