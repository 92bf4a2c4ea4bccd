"""Initial parameters, each drawn from a generator keyed by (seed, parameter name).

One seed therefore means the same tensors in every arm: adding a module changes no other, and queries, keys
and values are the same whether projected apart or together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import overload

import torch
from torch import Tensor, nn

from harness.models.attention import FusedAttention
from harness.models.config import (
    Architecture,
    EncoderDecoderConfig,
    KaimingInit,
    LeCunInit,
    ModelConfig,
    NormalInit,
    PretrainedEmbedding,
    SquaredXavierInit,
    TruncatedNormalInit,
    XavierInit,
)
from harness.models.embedding import TokenEmbedding
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.named_rng import keyed_generator
from harness.models.self_initialised import AtRest
from harness.models.transformer import Stack, Transformer

RESIDUAL = ("attention.out", "cross_attention.out", "feedforward.down")


@overload
def build_model(
    config: ModelConfig,
    seed: int,
    *,
    dtype: torch.dtype = ...,
    device: str | torch.device = ...,
    vectors: Tensor | None = ...,
) -> Transformer: ...
@overload
def build_model(
    config: EncoderDecoderConfig,
    seed: int,
    *,
    dtype: torch.dtype = ...,
    device: str | torch.device = ...,
    vectors: Tensor | None = ...,
) -> EncoderDecoder: ...
def build_model(
    config: ModelConfig | EncoderDecoderConfig,
    seed: int,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    vectors: Tensor | None = None,
) -> Transformer | EncoderDecoder:
    """A model in training mode. The values do not depend on the device, nor, but for rounding, on dtype.

    `vectors` (tokens, width) are the pretrained embedding's, and only its; ValueError where they lack or do
    not fit. The global generators stay where they were, so that dropout does not depend on how many modules
    were built.
    """
    if isinstance(config.embedding, PretrainedEmbedding) != (vectors is not None):
        raise ValueError(
            "a pretrained embedding needs word vectors, and no other takes any; give `vectors` or change embedding"
        )
    with torch.random.fork_rng(devices=[]):
        model = Transformer(config) if isinstance(config, ModelConfig) else EncoderDecoder(config)
    initialise(model, seed)
    if vectors is not None:
        model.embedding.take(vectors)
    return model.to(device=device, dtype=dtype)


def initialise(model: Transformer | EncoderDecoder, seed: int) -> None:
    """Matrices as `config.init` says, embeddings and tables normal, biases 0, norms as they are at rest.

    Projections into the residual stream are scaled by 1 / sqrt(their number in the stack), so that its
    variance does not grow with depth (Radford et al. 2019, §2.3), unless `init.residual` is "one".
    """
    config = model.config
    scales = dict(_residual_scales(model)) if config.init.residual == "depth" else {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            for part, rows in _parts(model, name, module):
                std = _std(config, *rows.shape[::-1]) * scales.get(name, 1.0)
                _fill(rows, config, std=std, key=f"{seed}:{part}.weight")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            own = config.init.embedding_std if isinstance(module, TokenEmbedding) else None
            std = config.init_std if own is None else own
            _draw_normal(module.weight, std=std, key=f"{seed}:{name}.weight")
        elif isinstance(module, AtRest | nn.LayerNorm | nn.RMSNorm):
            module.reset_parameters()
        else:
            # Memory is not cleared before: a module forgotten here would start from garbage.
            assert not list(module.parameters(recurse=False)), f"{name} has parameters, but no initialisation"


def _residual_scales(model: nn.Module) -> Iterator[tuple[str, float]]:
    for prefix, stack in model.named_modules():
        if isinstance(stack, Stack):
            blocks = f"{prefix}.blocks" if prefix else "blocks"
            found = [name for name, _ in stack.named_modules() if name.endswith(RESIDUAL)]
            yield from (
                (f"{blocks}.{name.removeprefix('blocks.')}", 1.0 / math.sqrt(len(found))) for name in found
            )


def _parts(model: nn.Module, name: str, linear: nn.Linear) -> Iterator[tuple[str, Tensor]]:
    """The matrices that a weight holds, by the name that each would have alone."""
    owner_name, _, own_name = name.rpartition(".")
    owner = model.get_submodule(owner_name)
    if isinstance(owner, FusedAttention) and own_name == "qkv":
        named = zip(
            "qkv",
            torch.split(linear.weight, [heads * owner.head_width for heads in owner.parts]),
            strict=True,
        )
        yield from ((f"{owner_name}.{letter}", rows) for letter, rows in named)
    else:
        yield name, linear.weight


def _std(config: Architecture, fan_in: int, fan_out: int) -> float:
    match config.init:
        case NormalInit() | TruncatedNormalInit():
            return config.init_std
        case XavierInit():
            return math.sqrt(2 / (fan_in + fan_out))
        case SquaredXavierInit():
            return 2 / (fan_in + fan_out)
        case KaimingInit():
            return math.sqrt(2 / fan_in)
        case LeCunInit():
            return math.sqrt(1 / fan_in)


def _fill(tensor: Tensor, config: Architecture, *, std: float, key: str) -> None:
    match config.init:
        case TruncatedNormalInit(cut=cut):
            _draw_truncated(tensor, std=std, cut=cut, key=key)
        case (
            XavierInit(distribution="uniform")
            | KaimingInit(distribution="uniform")
            | LeCunInit(distribution="uniform")
        ):
            _draw_uniform(tensor, std=std, key=key)
        case _:
            _draw_normal(tensor, std=std, key=key)


@torch.no_grad()
def _draw_normal(tensor: Tensor, *, std: float, key: str) -> None:
    tensor.copy_(torch.randn(tensor.shape, generator=keyed_generator(key), dtype=torch.float32) * std)


@torch.no_grad()
def _draw_uniform(tensor: Tensor, *, std: float, key: str) -> None:
    """Between ± sqrt(3) · std, whose standard deviation is std."""
    drawn = torch.rand(tensor.shape, generator=keyed_generator(key), dtype=torch.float32)
    tensor.copy_((2 * drawn - 1) * (math.sqrt(3) * std))


@torch.no_grad()
def _draw_truncated(tensor: Tensor, *, std: float, cut: float, key: str) -> None:
    """N(0, std²) given that it is within ± cut · std, by the inverse of its distribution."""
    inside = math.erf(cut / math.sqrt(2))
    drawn = torch.rand(tensor.shape, generator=keyed_generator(key), dtype=torch.float64)
    quantile = torch.erfinv((2 * drawn - 1) * inside) * math.sqrt(2)
    tensor.copy_(quantile.clamp(-cut, cut) * std)
