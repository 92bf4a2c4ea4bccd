"""Initial parameters, each drawn from a generator that is keyed by (seed, parameter name).

One seed therefore gives the same tensors in every arm: a new module changes no other, and queries, keys and
values are the same whether they are projected separately or together.
"""

from __future__ import annotations

import math
from typing import overload

import torch
from torch import Tensor, nn

from harness.models.config import (
    Architecture,
    EncoderDecoderConfig,
    ModelConfig,
    PretrainedEmbedding,
    TruncatedNormalInit,
)
from harness.models.config.own import OwnDecoderConfig
from harness.models.embedding import TokenEmbedding
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.named_rng import keyed_generator
from harness.models.own import OwnDecoder, build_own
from harness.models.self_initialised import AtRest, StackedLinear
from harness.models.transformer import Transformer


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
@overload
def build_model(
    config: OwnDecoderConfig,
    seed: int,
    *,
    dtype: torch.dtype = ...,
    device: str | torch.device = ...,
    vectors: Tensor | None = ...,
) -> OwnDecoder: ...
def build_model(
    config: ModelConfig | EncoderDecoderConfig | OwnDecoderConfig,
    seed: int,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    vectors: Tensor | None = None,
) -> Transformer | EncoderDecoder | OwnDecoder:
    """A model in training mode. The values do not depend on the device and, except for rounding, not on
    dtype.

    `vectors` (tokens, width) are the word vectors of a pretrained embedding. The state of torch's generators
    does not change, so that dropout does not depend on how many modules were built.
    Raises ValueError if word vectors are missing, not needed, or do not fit.
    """
    if isinstance(config, OwnDecoderConfig):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build_own(config).to(device=device, dtype=dtype)
    if isinstance(config.embedding, PretrainedEmbedding) != (vectors is not None):
        raise ValueError(
            "a pretrained embedding needs word vectors, and no other embedding accepts them; pass `vectors` "
            "only with embedding: {kind: pretrained}"
        )
    with torch.random.fork_rng(devices=[]):
        model = Transformer(config) if isinstance(config, ModelConfig) else EncoderDecoder(config)
    initialise(model, seed)
    if vectors is not None:
        model.embedding.take(vectors)
    return model.to(device=device, dtype=dtype)


def initialise(model: Transformer | EncoderDecoder, seed: int) -> None:
    """Matrices as `config.init` says, embeddings and tables normal, biases 0, and norms so that they change
    nothing.

    Projections into the residual stream are scaled by 1 / sqrt(the number of layers that add to it), so that
    its variance does not grow with depth (Radford et al. 2019, §2.3), unless `init.residual` is "one".
    """
    config = model.config
    scales = _residual_scales(model) if config.init.residual == "depth" else {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            scale = scales.get(module.weight, 1.0)
            for matrix_name, matrix in _matrices(name, module):
                _fill(matrix, config, scale=scale, key=f"{seed}:{matrix_name}.weight")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            std = config.init.embedding_std if isinstance(module, TokenEmbedding) else None
            _draw_normal(module.weight, std=std or config.init_std, key=f"{seed}:{name}.weight")
        elif isinstance(module, AtRest | nn.LayerNorm | nn.RMSNorm):
            module.reset_parameters()
        else:
            # Memory is not cleared before: a module that is forgotten here would start with arbitrary values.
            assert not list(module.parameters(recurse=False)), f"{name} has parameters, but no initialisation"


def _residual_scales(model: Transformer | EncoderDecoder) -> dict[Tensor, float]:
    """The scale of each projection into the residual stream of its stack."""
    scales = {}
    for stack in model.stacks:
        layers = [layer for block in stack.typed_blocks for layer in block.layers]
        for layer in layers:
            scales.update(dict.fromkeys(layer.residual_outputs(), 1.0 / math.sqrt(len(layers))))
    return scales


def _matrices(name: str, linear: nn.Linear) -> list[tuple[str, Tensor]]:
    """The matrices in a weight, by the name that each would have as a layer of its own."""
    if not isinstance(linear, StackedLinear):
        return [(name, linear.weight)]
    parent = name.rpartition(".")[0]
    return [(f"{parent}.{part}", rows) for part, rows in linear.matrices()]


def _fill(matrix: Tensor, config: Architecture, *, scale: float, key: str) -> None:
    """Draw a matrix (fan out, fan in)."""
    init, (fan_out, fan_in) = config.init, matrix.shape
    std = init.std(fan_in=fan_in, fan_out=fan_out, init_std=config.init_std) * scale
    if isinstance(init, TruncatedNormalInit):
        _draw_truncated(matrix, std=std, cut=init.cut, key=key)
    elif getattr(init, "distribution", "normal") == "uniform":
        _draw_uniform(matrix, std=std, key=key)
    else:
        _draw_normal(matrix, std=std, key=key)


@torch.no_grad()
def _draw_normal(tensor: Tensor, *, std: float, key: str) -> None:
    tensor.copy_(torch.randn(tensor.shape, generator=keyed_generator(key), dtype=torch.float32) * std)


@torch.no_grad()
def _draw_uniform(tensor: Tensor, *, std: float, key: str) -> None:
    """Uniform between ± sqrt(3) · std, so that the standard deviation is std."""
    drawn = torch.rand(tensor.shape, generator=keyed_generator(key), dtype=torch.float32)
    tensor.copy_((2 * drawn - 1) * (math.sqrt(3) * std))


@torch.no_grad()
def _draw_truncated(tensor: Tensor, *, std: float, cut: float, key: str) -> None:
    """N(0, std²) restricted to ± cut · std, by the inverse of its distribution function."""
    inside = math.erf(cut / math.sqrt(2))
    drawn = torch.rand(tensor.shape, generator=keyed_generator(key), dtype=torch.float64)
    quantile = torch.erfinv((2 * drawn - 1) * inside) * math.sqrt(2)
    tensor.copy_(quantile.clamp(-cut, cut) * std)
