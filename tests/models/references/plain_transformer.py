"""The transformer written once more, plainly: float64, loops over heads, queries and keys.

It shares nothing with `models/` but the config and the parameters by name. One row at a time, without
padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.models.config import Architecture, EncoderDecoderConfig, ModelConfig, Norm

Weights = dict[str, Tensor]


def plain_logits(config: ModelConfig, weights: Weights, tokens: list[int]) -> Tensor:
    """(T, V)."""
    x = embed(config, part(weights, "embedding"), tokens)
    x = plain_stack(config, weights, x, layers=config.n_layers, causal=True)
    return unembed(config, weights, x)


def plain_translation_logits(
    config: EncoderDecoderConfig, weights: Weights, source: list[int], target: list[int]
) -> Tensor:
    """(T, V)."""
    embedding_name = "embedding" if config.source_vocab_size is None else "source_embedding"
    x = embed(config, part(weights, embedding_name), source)
    memory = plain_stack(config, part(weights, "encoder"), x, layers=config.n_encoder_layers, causal=False)
    x = embed(config, part(weights, "embedding"), target)
    decoder = part(weights, "decoder")
    x = plain_stack(config, decoder, x, layers=config.n_decoder_layers, causal=True, memory=memory)
    return unembed(config, weights, x)


def part(weights: Weights, prefix: str) -> Weights:
    return {name[len(prefix) + 1 :]: t for name, t in weights.items() if name.startswith(f"{prefix}.")}


def embed(config: Architecture, weights: Weights, tokens: list[int]) -> Tensor:
    x = torch.stack([weights["weight"][token] for token in tokens])
    scaled = config.embedding_scale == "sqrt-width" or (
        config.embedding_scale == "by-position" and config.position.kind == "sinusoidal"
    )
    if scaled:
        x = x * math.sqrt(x.shape[1])
    return linear(weights, "projection", x) if config.embedding.kind == "pretrained" else x


def unembed(config: Architecture, weights: Weights, x: Tensor) -> Tensor:
    if config.output.scale == "inverse-sqrt-width":
        x = x / math.sqrt(config.d_model)
    logits = x @ weights["embedding.weight" if config.tie_embeddings else "unembedding.weight"].T
    if config.output.bias:
        logits = logits + weights["output_bias.bias"]
    cap = config.output.soft_cap
    return logits if cap is None else cap * (logits / cap).tanh()


def plain_stack(
    config: Architecture,
    weights: Weights,
    x: Tensor,
    *,
    layers: int,
    causal: bool,
    memory: Tensor | None = None,
) -> Tensor:
    d, length = config.d_model, len(x)
    if config.position.kind == "sinusoidal":
        x = x + torch.stack(
            [sinusoid(d, t, halves=config.position.layout == "halves") for t in range(length)]
        )
    elif config.position.kind == "learned":
        x = x + weights["position.table.weight"][config.position.offset :][:length]
    if config.embedding_norm is not None:
        x = norm(config.embedding_norm, part(weights, "embedding_norm"), x)
    for layer in range(layers):
        x = plain_block(Layer(config, part(weights, f"blocks.{layer}"), weights, layer, causal), x, memory)
    ends_in_norm = config.final_norm == "always" or (
        config.final_norm == "by-placement" and config.norm_placement != "post"
    )
    return norm(config.norm, part(weights, "final_norm"), x) if ends_in_norm else x


@dataclass
class Layer:
    config: Architecture
    weights: Weights
    stack: Weights
    number: int
    causal: bool


def plain_block(layer: Layer, x: Tensor, memory: Tensor | None) -> Tensor:
    config, shared = layer.config, x

    def apply(name: str, x: Tensor) -> Tensor:
        if name == "feedforward":
            return feedforward(config, part(layer.weights, name), x)
        return attention(layer, part(layer.weights, name), x, memory if name == "cross_attention" else None)

    def normed(name: str, x: Tensor) -> Tensor:
        return norm(config.norm, part(layer.weights, name), x)

    names = ["attention", "cross_attention", "feedforward"]
    if memory is None:
        names.remove("cross_attention")
    for name in names:
        read = shared if config.feedforward_placement == "parallel" else x
        match config.norm_placement:
            case "pre":
                x = x + apply(name, normed(f"{name}_norm", read))
            case "post":
                x = normed(f"{name}_norm", x + apply(name, read))
            case "output":
                x = x + normed(f"{name}_norm", apply(name, read))
            case "both":
                x = x + normed(f"{name}_output_norm", apply(name, normed(f"{name}_norm", read)))
    return x


def attention(layer: Layer, weights: Weights, x: Tensor, memory: Tensor | None) -> Tensor:
    config, settings = layer.config, layer.config.attention
    width, heads, kv_heads = config.head_width, config.n_heads, settings.n_kv_heads or config.n_heads
    keys_from = x if memory is None else memory
    if "qkv.weight" in weights:
        together = linear(weights, "qkv", x)
        q, k, v = torch.split(together, [heads * width, kv_heads * width, kv_heads * width], dim=1)
    else:
        q, k, v = linear(weights, "q", x), linear(weights, "k", keys_from), linear(weights, "v", keys_from)
    if settings.qk_norm is not None:
        qk_norm = settings.qk_norm
        size = width if qk_norm.over == "head" else None
        q = in_pieces(qk_norm.norm, part(weights, "qk_norm.q"), q, size)
        k = in_pieces(qk_norm.norm, part(weights, "qk_norm.k"), k, size)
    window = None if memory is not None else settings.windows[layer.number % len(settings.windows)]
    merged = torch.zeros(len(x), heads * width, dtype=x.dtype)
    for head in range(heads):
        q_part = slice(head * width, (head + 1) * width)
        kv_head = head // (heads // kv_heads)
        kv_part = slice(kv_head * width, (kv_head + 1) * width)
        for query in range(len(x)):
            seen = [
                key
                for key in range(len(keys_from))
                if memory is not None
                or ((key <= query or not layer.causal) and (window is None or abs(query - key) < window))
            ]
            logits = []
            for key in seen:
                a, b = q[query, q_part], k[key, kv_part]
                if memory is None:
                    a, b = turn(config, a, query), turn(config, b, key)
                scale = 1 / math.sqrt(width) if settings.scale is None else settings.scale
                logit = a @ b * scale
                if settings.clamp is not None:
                    logit = logit.clamp(-settings.clamp, settings.clamp)
                if settings.soft_cap is not None:
                    logit = settings.soft_cap * torch.tanh(logit / settings.soft_cap)
                if memory is None:
                    logit = logit + bias(layer, head, key - query)
                logits.append(logit)
            probabilities = torch.stack(logits).softmax(0)
            merged[query, q_part] = sum(
                p * v[key, kv_part] for p, key in zip(probabilities, seen, strict=True)
            )
    return linear(weights, "out", merged)


def bias(layer: Layer, head: int, offset: int) -> Tensor | float:
    """ALiBi of 1, 2, 4 or 8 heads; T5's buckets as its paper's appendix has them."""
    config = layer.config
    if config.position.kind == "alibi":
        return -abs(offset) * math.exp2(-8 * (head + 1) / config.n_heads)
    if config.position.kind != "relative":
        return 0.0
    buckets, first = config.position.buckets, 0
    distance = max(-offset, 0)
    if not layer.causal:
        buckets //= 2
        distance = abs(offset)
        first = buckets if offset > 0 else 0
    exact = buckets // 2
    if distance >= exact:
        ratio = math.log(distance / exact) / math.log(config.position.max_distance / exact)
        distance = min(exact + int(ratio * (buckets - exact)), buckets - 1)
    return layer.stack["position.table.weight"][first + distance, head]


def turn(config: Architecture, head: Tensor, position: int) -> Tensor:
    if config.position.kind != "rotary":
        return head
    turned, width = head.clone(), int(len(head) * config.position.fraction)
    for pair in range(width // 2):
        i, j = (
            (2 * pair, 2 * pair + 1) if config.position.layout == "interleaved" else (pair, pair + width // 2)
        )
        angle = position * config.position.base ** (-2 * pair / width)
        turned[i] = head[i] * math.cos(angle) - head[j] * math.sin(angle)
        turned[j] = head[j] * math.cos(angle) + head[i] * math.sin(angle)
    return turned


def feedforward(config: Architecture, weights: Weights, x: Tensor) -> Tensor:
    up = linear(weights, "up", x)
    if config.feedforward.kind == "gated":
        return linear(weights, "down", activation(config, linear(weights, "gate", x)) * up)
    return linear(weights, "down", activation(config, up))


def activation(config: Architecture, x: Tensor) -> Tensor:
    match config.activation:
        case "relu":
            return x.clamp(min=0)
        case "leaky-relu":
            return torch.where(x < 0, 0.01 * x, x)
        case "silu":
            return x / (1 + (-x).exp())
        case "squared-relu":
            return x.clamp(min=0) ** 2
        case "gelu":
            return x * (1 + torch.erf(x / math.sqrt(2))) / 2
        case "gelu-tanh":
            return x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


def norm(settings: Norm, weights: Weights, x: Tensor) -> Tensor:
    if settings.kind == "rmsnorm":
        gain = weights["weight"] + (1 if settings.gain == "one-plus-weight" else 0)
        return x / ((x**2).mean(-1, keepdim=True) + settings.eps).sqrt() * gain
    centred = x - x.mean(-1, keepdim=True)
    normed = centred / ((centred**2).mean(-1, keepdim=True) + settings.eps).sqrt()
    return normed if settings.kind == "non-parametric" else normed * weights["weight"] + weights["bias"]


def in_pieces(settings: Norm, weights: Weights, x: Tensor, size: int | None) -> Tensor:
    return (
        norm(settings, weights, x)
        if size is None
        else torch.cat([norm(settings, weights, p) for p in torch.split(x, size, 1)], 1)
    )


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    y = x @ weights[f"{name}.weight"].T
    return y + weights[f"{name}.bias"] if f"{name}.bias" in weights else y


def sinusoid(width: int, position: int, *, halves: bool) -> Tensor:
    row = torch.empty(width, dtype=torch.float64)
    for pair in range(width // 2):
        angle = position / 10_000 ** (2 * pair / width)
        i, j = (pair, pair + width // 2) if halves else (2 * pair, 2 * pair + 1)
        row[i], row[j] = math.sin(angle), math.cos(angle)
    return row
