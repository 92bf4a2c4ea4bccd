"""What a model costs, in closed form: parameters, FLOPs and bytes of the cache. Torch-free."""

from __future__ import annotations

from typing import assert_never

from harness.models.config import (
    DOUBLING_FIRST_CAPACITY,
    Architecture,
    CacheKind,
    EncoderDecoderConfig,
    ModelConfig,
)
from harness.models.config.own import OwnDecoderConfig


def parameter_count(config: ModelConfig | EncoderDecoderConfig | OwnDecoderConfig) -> int:
    """The number of values of all parameters, frozen ones included. Tied embeddings count once."""
    if isinstance(config, OwnDecoderConfig):
        return config.parameter_count()
    output = 0 if config.tie_embeddings else config.vocab_size * config.d_model
    output += config.vocab_size if config.output.bias else 0
    embedding = config.embedding.parameters(config, config.vocab_size)
    if isinstance(config, ModelConfig):
        return output + embedding + _stack(config, layers=config.n_layers, attentions=1)
    if config.source_vocab_size is not None:
        embedding += config.embedding.parameters(config, config.source_vocab_size)
    encoder = _stack(config, layers=config.n_encoder_layers, attentions=1)
    return output + embedding + encoder + _stack(config, layers=config.n_decoder_layers, attentions=2)


def flops_per_token(config: ModelConfig | OwnDecoderConfig, *, keys: int) -> int:
    """Floating-point operations of the matrix products of a forward pass, for one token that attends to
    `keys` positions.

    A multiplication and an addition count as two. A pass over T tokens without a cache computes the whole T ×
    T attention, including the masked half and everything outside a window: T · flops_per_token(keys=T) per
    row.
    """
    if isinstance(config, OwnDecoderConfig):
        return config.flops_per_token(keys=keys)
    products = config.n_layers * _block_products(config, keys=keys)
    return 2 * (config.embedding.products(config) + products + config.vocab_size * config.d_model)


def encoder_flops_per_token(config: EncoderDecoderConfig, *, source: int) -> int:
    """Like `flops_per_token`, for one of `source` source tokens, including its keys and values for the
    decoder's layers.
    """
    products = config.n_encoder_layers * _block_products(config, keys=source)
    products += config.n_decoder_layers * config.attention.source_products(config)
    return 2 * (config.embedding.products(config) + products)


def decoder_flops_per_token(config: EncoderDecoderConfig, *, keys: int, source: int) -> int:
    """Like `flops_per_token`, for a target token that attends to `keys` target positions and `source` source
    tokens.
    """
    per_layer = _block_products(config, keys=keys) + config.attention.cross_products(config, source=source)
    products = config.n_decoder_layers * per_layer
    return 2 * (config.embedding.products(config) + products + config.vocab_size * config.d_model)


def cache_bytes(
    config: ModelConfig | EncoderDecoderConfig | OwnDecoderConfig,
    kind: CacheKind,
    *,
    batch: int,
    prompt: int,
    new_tokens: int,
    bytes_per_value: int,
) -> int:
    """Bytes that a cache keeps of the decoder's own tokens after decoding `new_tokens` that follow a prompt.

    The last new token is never fed to the model, so prompt + new_tokens - 1 positions are cached. A source's
    keys and values are not included.
    """
    if isinstance(config, OwnDecoderConfig):
        cached = prompt + new_tokens - 1
        return config.cache_bytes(kind, batch=batch, positions=cached, bytes_per_value=bytes_per_value)
    layers = config.n_layers if isinstance(config, ModelConfig) else config.n_decoder_layers
    positions = _positions_with_room(kind, prompt + new_tokens - 1)
    return layers * batch * config.attention.cached(config).numbers * positions * bytes_per_value


def _stack(config: Architecture, *, layers: int, attentions: int) -> int:
    """Parameters of positions, blocks and norms. A block of a decoder with a source has two attentions."""
    norms = (attentions + 1) * (2 if config.norm_placement == "both" else 1)
    block = (
        attentions * config.attention.parameters(config)
        + config.feedforward.parameters(config)
        + norms * config.norm.parameters(config.d_model)
    )
    ends = config.norm.parameters(config.d_model) if config.ends_in_norm else 0
    if config.embedding_norm is not None:
        ends += config.embedding_norm.parameters(config.d_model)
    return layers * block + ends + config.position.parameters(config)


def _block_products(config: Architecture, *, keys: int) -> int:
    return config.attention.products(config, keys=keys) + config.feedforward.products(config)


def _positions_with_room(kind: CacheKind, cached: int) -> int:
    match kind:
        case "none":
            return 0
        case "dynamic" | "static":
            return cached
        case "doubling":
            doublings = (-(-cached // DOUBLING_FIRST_CAPACITY) - 1).bit_length()
            return DOUBLING_FIRST_CAPACITY << doublings
        case _:
            assert_never(kind)
