"""The transformer against itself written once more, plainly: float64, loops over heads, queries and keys.

The plain one shares nothing with `models/` but the config and the parameters by name.
"""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from models.config import ModelConfig
from models.init import build_model

Weights = dict[str, Tensor]
VARIANTS = list(
    product(
        ("sinusoidal", "learned", "rotary"),
        (("pre", "layernorm"), ("post", "rmsnorm"), ("post", "layernorm")),
        (("gelu", True), ("silu", False), ("relu", True)),
    )
)


@pytest.mark.parametrize(("position", "norms", "rest"), VARIANTS)
def test_logits_are_those_of_the_plain_transformer(
    position: str, norms: tuple[str, str], rest: tuple[str, bool]
) -> None:
    config = ModelConfig.model_validate(
        {
            "vocab_size": 11,
            "d_model": 12,
            "n_layers": 2,
            "n_heads": 3,
            "d_ff": 10,
            "max_positions": 9,
            "position": {"kind": position},
            "norm_placement": norms[0],
            "norm": {"kind": norms[1]},
            "activation": rest[0],
            "tie_embeddings": rest[1],
            "dropout": 0.3,
            "init_std": 0.4,
        }
    )
    model = build_model(config, 3, dtype=torch.float64).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for (
            parameter
        ) in model.parameters():  # biases and gains are constant at first and would hide a mistake
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        tokens = torch.randint(11, (2, 9), generator=generator)
        logits = model(tokens)
        plain = torch.stack([plain_logits(config, model.state_dict(), row) for row in tokens.tolist()])
    assert (logits - plain).abs().max() <= 1e-10 * plain.abs().max()
    torch.testing.assert_close(model.next_logits(tokens), logits[:, -1], rtol=0, atol=1e-12)


def plain_logits(config: ModelConfig, weights: Weights, tokens: list[int]) -> Tensor:
    """Logits (T, V) of one row without padding."""
    x = torch.stack([weights["embedding.weight"][token] for token in tokens])
    if config.position.kind == "sinusoidal":
        x = x * math.sqrt(config.d_model) + torch.stack(
            [sinusoid(config.d_model, t) for t in range(len(tokens))]
        )
    elif config.position.kind == "learned":
        x = x + weights["position.table.weight"][: len(tokens)]
    for layer in range(config.n_layers):
        own = {
            name.removeprefix(f"blocks.{layer}."): tensor
            for name, tensor in weights.items()
            if name.startswith(f"blocks.{layer}.")
        }
        if config.norm_placement == "pre":
            x = x + attention(config, own, norm(config, own, "attention_norm", x))
            x = x + feedforward(config, own, norm(config, own, "feedforward_norm", x))
        else:
            x = norm(config, own, "attention_norm", x + attention(config, own, x))
            x = norm(config, own, "feedforward_norm", x + feedforward(config, own, x))
    if config.norm_placement == "pre":
        x = norm(config, weights, "final_norm", x)
    return x @ weights["embedding.weight" if config.tie_embeddings else "unembedding.weight"].T


def sinusoid(width: int, position: int) -> Tensor:
    row = torch.empty(width, dtype=torch.float64)
    for pair in range(width // 2):
        angle = position / 10_000 ** (2 * pair / width)
        row[2 * pair], row[2 * pair + 1] = math.sin(angle), math.cos(angle)
    return row


def norm(config: ModelConfig, weights: Weights, name: str, x: Tensor) -> Tensor:
    gain = weights[f"{name}.weight"]
    if config.norm.kind == "rmsnorm":
        return x / ((x**2).mean(1, keepdim=True) + config.norm.eps).sqrt() * gain
    centred = x - x.mean(1, keepdim=True)
    return (
        centred / ((centred**2).mean(1, keepdim=True) + config.norm.eps).sqrt() * gain
        + weights[f"{name}.bias"]
    )


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def attention(config: ModelConfig, weights: Weights, x: Tensor) -> Tensor:
    width = config.d_model // config.n_heads
    q, k, v = (linear(weights, f"attention.{name}", x) for name in ("q", "k", "v"))
    merged = torch.zeros_like(x)
    for head in range(config.n_heads):
        part = slice(head * width, (head + 1) * width)
        for query in range(len(x)):
            turned = turn(config, q[query, part], query)
            scores = [turned @ turn(config, k[key, part], key) / math.sqrt(width) for key in range(query + 1)]
            probabilities = torch.stack(scores).softmax(0)
            merged[query, part] = sum(p * v[key, part] for key, p in enumerate(probabilities))
    return linear(weights, "attention.out", merged)


def turn(config: ModelConfig, head: Tensor, position: int) -> Tensor:
    if config.position.kind != "rotary":
        return head
    turned, half = torch.empty_like(head), len(head) // 2
    for pair in range(half):
        angle = position * config.position.base ** (-2 * pair / len(head))
        a, b = head[pair], head[pair + half]
        turned[pair] = a * math.cos(angle) - b * math.sin(angle)
        turned[pair + half] = b * math.cos(angle) + a * math.sin(angle)
    return turned


def feedforward(config: ModelConfig, weights: Weights, x: Tensor) -> Tensor:
    up = linear(weights, "feedforward.up", x)
    if config.activation == "relu":
        active = up.clamp(min=0)
    elif config.activation == "silu":
        active = up / (1 + (-up).exp())
    else:
        active = up * (1 + torch.erf(up / math.sqrt(2))) / 2
    return linear(weights, "feedforward.down", active)
