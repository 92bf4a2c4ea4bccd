"""What a model costs, in closed form: parameters, FLOPs, bytes of the cache. Torch-free."""

from __future__ import annotations

from typing import assert_never

from harness.models.config import (
    DOUBLING_FIRST_CAPACITY,
    Architecture,
    CacheKind,
    EncoderDecoderConfig,
    ModelConfig,
)


def parameter_count(config: ModelConfig | EncoderDecoderConfig) -> int:
    """Values of all parameters, frozen ones included; tied embeddings count once."""
    output = 0 if config.tie_embeddings else config.vocab_size * config.d_model
    output += config.vocab_size if config.output.bias else 0
    embedding = config.embedding.parameters(config, config.vocab_size)
    if isinstance(config, ModelConfig):
        return output + embedding + _stack(config, layers=config.n_layers, attentions=1)
    if config.source_vocab_size is not None:
        embedding += config.embedding.parameters(config, config.source_vocab_size)
    encoder = _stack(config, layers=config.n_encoder_layers, attentions=1)
    return output + embedding + encoder + _stack(config, layers=config.n_decoder_layers, attentions=2)


def flops_per_token(config: ModelConfig, *, keys: int) -> int:
    """Floating-point operations of the matrix products for one token that attends over `keys` positions,
    forward.

    A multiplication and an addition count as two. A pass over T tokens without a cache computes the whole T ×
    T attention, masked half and what lies outside a window included: T · flops_per_token(keys=T) a row.
    """
    per_layer = _self_attention_products(config, keys=keys) + config.feedforward.products(config)
    return 2 * (
        config.embedding.products(config) + config.n_layers * per_layer + config.vocab_size * config.d_model
    )


def encoder_flops_per_token(config: EncoderDecoderConfig, *, source: int) -> int:
    """The same for one source token among `source`, keys and values for the decoder's layers included."""
    per_layer = _self_attention_products(config, keys=source) + config.feedforward.products(config)
    for_decoder = config.n_decoder_layers * 2 * config.d_model * _kv_width(config)
    return 2 * (config.embedding.products(config) + config.n_encoder_layers * per_layer + for_decoder)


def decoder_flops_per_token(config: EncoderDecoderConfig, *, keys: int, source: int) -> int:
    """The same for one target token that attends over `keys` target positions and `source` source tokens."""
    queries = config.n_heads * config.head_width
    cross = 2 * config.d_model * queries + 2 * source * queries
    per_layer = _self_attention_products(config, keys=keys) + cross + config.feedforward.products(config)
    output = config.vocab_size * config.d_model
    return 2 * (config.embedding.products(config) + config.n_decoder_layers * per_layer + output)


def cache_bytes(
    config: ModelConfig | EncoderDecoderConfig,
    kind: CacheKind,
    *,
    batch: int,
    prompt: int,
    new_tokens: int,
    bytes_per_value: int,
) -> int:
    """Bytes of keys and values of the decoder's own tokens when `new_tokens` have been decoded after a
    prompt.

    The last new token is never fed, so prompt + new_tokens - 1 positions are cached. Those of a source are in
    `cross_cache_bytes`.
    """
    layers = config.n_layers if isinstance(config, ModelConfig) else config.n_decoder_layers
    held = _held_positions(kind, prompt + new_tokens - 1)
    return 2 * layers * batch * _kv_width(config) * held * bytes_per_value


def cross_cache_bytes(
    config: EncoderDecoderConfig, kind: CacheKind, *, sources: int, length: int, bytes_per_value: int
) -> int:
    """Bytes of the keys and values of `sources` sources of `length` tokens, which every cache keeps alike.

    A padded batch's mask is one byte a source token more.
    """
    if kind == "none":
        return 0
    return 2 * config.n_decoder_layers * sources * _kv_width(config) * length * bytes_per_value


def _kv_width(config: Architecture) -> int:
    return config.n_kv_heads * config.head_width


def _stack(config: Architecture, *, layers: int, attentions: int) -> int:
    """Parameters of positions, blocks and norms; a block of a decoder with a source has two attentions."""
    norms = (attentions + 1) * (2 if config.norm_placement == "both" else 1)
    block = (
        attentions * _attention(config)
        + config.feedforward.parameters(config)
        + norms * config.norm.parameters(config.d_model)
    )
    ends = config.norm.parameters(config.d_model) if config.ends_in_norm else 0
    if config.embedding_norm is not None:
        ends += config.embedding_norm.parameters(config.d_model)
    return layers * block + ends + config.position.parameters(config)


def _attention(config: Architecture) -> int:
    settings, d = config.attention, config.d_model
    queries, others = config.n_heads * config.head_width, _kv_width(config)
    weights = 2 * d * queries + 2 * d * others
    biases = (queries + 2 * others if settings.qkv_bias else 0) + (d if settings.out_bias else 0)
    if settings.qk_norm is None:
        return weights + biases
    norm, width = settings.qk_norm.norm, config.head_width
    widths = (width, width) if settings.qk_norm.over == "head" else (queries, others)
    return weights + biases + sum(norm.parameters(each) for each in widths)


def _self_attention_products(config: Architecture, *, keys: int) -> int:
    queries = config.n_heads * config.head_width
    return 2 * config.d_model * (queries + _kv_width(config)) + 2 * keys * queries


def _held_positions(kind: CacheKind, cached: int) -> int:
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
