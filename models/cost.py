"""What a model costs, in closed form: parameters, FLOPs, bytes of the cache. Torch-free."""

from __future__ import annotations

from typing import assert_never

from models.config import DOUBLING_FIRST_CAPACITY, CacheKind, LayerNorm, LearnedPosition, ModelConfig


def parameter_count(config: ModelConfig) -> int:
    """Trained values; tied embeddings count once."""
    d, ff = config.d_model, config.d_ff
    attention = 4 * (d * d + d)
    feedforward = (d * ff + ff) + (ff * d + d)
    norm = 2 * d if isinstance(config.norm, LayerNorm) else d
    norms = 2 * config.n_layers + (config.norm_placement == "pre")
    embeddings = config.vocab_size * d * (1 if config.tie_embeddings else 2)
    positions = config.max_positions * d if isinstance(config.position, LearnedPosition) else 0
    return config.n_layers * (attention + feedforward) + norms * norm + embeddings + positions


def flops_per_token(config: ModelConfig, *, keys: int) -> int:
    """Floating-point operations of the matrix products for one token that attends over `keys` positions, forward.

    A multiplication and an addition count as two. A pass over T tokens without a cache computes the whole T × T
    attention, masked half included: T · flops_per_token(keys=T) a row.
    """
    d = config.d_model
    projections = config.n_layers * (4 * d * d + 2 * d * config.d_ff) + config.vocab_size * d
    attention = config.n_layers * 2 * keys * d
    return 2 * (projections + attention)


def cache_bytes(
    config: ModelConfig, kind: CacheKind, *, batch: int, prompt: int, new_tokens: int, bytes_per_value: int
) -> int:
    """Bytes of keys and values when `new_tokens` have been decoded after a prompt.

    The last new token is never fed, so prompt + new_tokens - 1 positions are cached.
    """
    held = _held_positions(kind, prompt + new_tokens - 1)
    return 2 * config.n_layers * batch * config.d_model * held * bytes_per_value


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
