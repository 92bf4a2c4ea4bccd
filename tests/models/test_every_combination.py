"""Whatever the config allows can be built, trained, decoded and stored; the rest is refused when it is read."""

from __future__ import annotations

from typing import Any, get_args

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models.config import (
    Activation,
    AnyModelConfig,
    CacheKind,
    Checkpointing,
    Init,
    ModelConfig,
    NormPlacement,
    QKVProjection,
)
from models.decoding.greedy import greedy
from models.encoder_decoder import EncoderDecoder
from models.init import build_model
from models.loss import cross_entropy

TOKENS = 11
KINDS: Any = {union: [member.model_fields["kind"].default for member in get_args(get_args(union)[0])]
              for union in (Init, Checkpointing)}  # fmt: skip
READ: TypeAdapter[AnyModelConfig] = TypeAdapter(AnyModelConfig)


def one_of(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


NORMS = one_of({"kind": "layernorm"}, {"kind": "rmsnorm"}, {"kind": "rmsnorm", "gain": "one-plus-weight"},
               {"kind": "non-parametric"})  # fmt: skip
POSITIONS = st.one_of(
    st.fixed_dictionaries({"kind": one_of("none", "alibi")}),
    st.fixed_dictionaries({"kind": st.just("sinusoidal"), "layout": one_of("interleaved", "halves")}),
    st.fixed_dictionaries({"kind": st.just("learned"), "offset": one_of(0, 2)}),
    st.fixed_dictionaries(
        {"kind": st.just("rotary"), "layout": one_of("interleaved", "halves"), "fraction": one_of(0.5, 1.0)}
    ),
    st.fixed_dictionaries(
        {"kind": st.just("relative"), "buckets": one_of(8, 32), "max_distance": one_of(20)}
    ),
)
ATTENTIONS = st.fixed_dictionaries(
    {
        "n_kv_heads": one_of(None, 1, 2),
        "head_width": one_of(None, 3, 8),
        "projection": st.sampled_from(get_args(QKVProjection)),
        "qkv_bias": st.booleans(),
        "out_bias": st.booleans(),
        "scale": one_of(None, 1.0),
        "qk_norm": st.none() | st.fixed_dictionaries({"norm": NORMS, "over": one_of("head", "all-heads")}),
        "windows": one_of((None,), (5,), (3, None)),
        "dropout": one_of(None, 0.1),
    }
)
KERNELS = one_of(
    {"kernel": {"kind": "by-shape"}},
    {"kernel": {"kind": "sdpa"}},
    {"kernel": {"kind": "sdpa", "backends": ["math"]}},
    {"kernel": {"kind": "materialised"}, "clamp": 4.0},
    {"kernel": {"kind": "materialised"}, "soft_cap": 6.0},
    {"kernel": {"kind": "materialised"}},
    {"soft_cap": 6.0},
)
DOCUMENTS = st.fixed_dictionaries(
    {
        "vocab_size": st.just(TOKENS),
        "d_model": one_of(8, 12, 16),
        "n_heads": one_of(1, 2, 4),
        "d_ff": st.integers(1, 12),
        "max_positions": st.just(30),
        "position": POSITIONS,
        "norm": NORMS,
        "norm_placement": st.sampled_from(get_args(NormPlacement)),
        "final_norm": one_of("by-placement", "always", "never"),
        "embedding": one_of({"kind": "learned"}, {"kind": "pretrained", "width": 5},
                            {"kind": "pretrained", "width": 5, "frozen": True}),
        "embedding_scale": one_of("by-position", "one", "sqrt-width"),
        "embedding_norm": st.none() | NORMS,
        "tie_embeddings": st.booleans(),
        "output": st.fixed_dictionaries(
            {"scale": one_of("one", "inverse-sqrt-width"), "bias": st.booleans(), "soft_cap": one_of(None, 5.0)}
        ),
        "attention": st.builds(lambda one, other: {**one, **other}, ATTENTIONS, KERNELS),
        "feedforward": st.fixed_dictionaries({"kind": one_of("plain", "gated"), "bias": st.booleans()}),
        "feedforward_placement": one_of("sequential", "parallel"),
        "activation": st.sampled_from(get_args(Activation)),
        "dropout": one_of(0.0, 0.2),
        "init": st.sampled_from(KINDS[Init]).map(lambda kind: {"kind": kind}),
        "init_std": one_of(0.02, 0.3),
        "checkpointing": st.sampled_from(KINDS[Checkpointing]).map(lambda kind: {"kind": kind}),
    }
)  # fmt: skip
LAYERS = st.one_of(
    st.fixed_dictionaries({"n_layers": st.integers(1, 3)}),
    st.fixed_dictionaries(
        {
            "kind": st.just("encoder-decoder"),
            "n_encoder_layers": st.integers(1, 2),
            "n_decoder_layers": st.integers(1, 2),
            "source_vocab_size": one_of(None, 7),
        }
    ),
)
# The reasons that there are; any other refusal, or an error later on, is a mistake.
REASONS = (
    "multiple of",
    "rotary positions turn pairs",
    "norm_placement post",
    "cannot be the output",
    "never shows",
    "word vectors fill one table",
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(document=DOCUMENTS, layers=LAYERS, seed=st.integers(0, 2**32))
def test_it_is_refused_or_trains_decodes_and_round_trips(
    document: dict[str, Any], layers: dict[str, Any], seed: int
) -> None:
    try:
        config = READ.validate_python({**document, **layers})
    except ValidationError as refusal:
        unknown = [
            item["msg"] for item in refusal.errors() if not any(reason in item["msg"] for reason in REASONS)
        ]
        if unknown:
            raise
        return
    assert READ.validate_json(config.model_dump_json()) == config
    vectors = torch.randn(TOKENS, 5) if config.embedding.kind == "pretrained" else None
    model = build_model(config, seed, dtype=torch.float64, vectors=vectors)
    tokens = torch.randint(7, (2, 7), generator=torch.Generator().manual_seed(seed))
    logits = model(tokens, tokens[:, :-1]) if isinstance(model, EncoderDecoder) else model(tokens[:, :-1])
    torch.autograd.backward(cross_entropy(logits, tokens[:, 1:]))
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name

    model.eval()
    again = build_model(config, seed + 1, dtype=torch.float64, vectors=vectors).eval()
    again.load_state_dict(model.state_dict())
    decoder = model.bind(tokens) if isinstance(model, EncoderDecoder) else model
    loaded = again.bind(tokens) if isinstance(again, EncoderDecoder) else again
    expected = greedy(decoder, tokens, new_tokens=14, cache="none")
    for kind in get_args(CacheKind):
        assert torch.equal(greedy(loaded, tokens, new_tokens=14, cache=kind), expected), kind


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    d_model=st.integers(1, 12),
    heads=st.integers(1, 4),
    position=st.sampled_from(["sinusoidal", "learned", "rotary", "alibi", "relative", "none"]),
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
