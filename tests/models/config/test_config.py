"""Whatever the config allows can be built, trained, decoded and stored; the rest is refused when it is read.

Documents are drawn from the config's own annotations, so that a new member of a union is drawn by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import torch
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from harness.models.config import AnyModelConfig, CacheKind, ModelConfig
from harness.models.cost import parameter_count
from harness.models.decoding.greedy import greedy
from harness.models.encoder_decoder import EncoderDecoder
from harness.models.init import build_model
from harness.models.loss import cross_entropy
from harness.models.transformer import Transformer
from harness.training.checkpoint import load_model, save_checkpoint
from harness.training.optim.first_order import SGD

TOKENS, SOURCE_TOKENS, WIDTH = 11, 7, 5
READ: TypeAdapter[AnyModelConfig] = TypeAdapter(AnyModelConfig)
# Values of what is no choice: by class and field, or by field. Where there are none the default is taken,
# else 2.
VALUES: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "vocab_size": (TOKENS,),
        "source_vocab_size": (SOURCE_TOKENS,),
        "d_model": (8, 12, 16),
        "n_heads": (1, 2, 4),
        "n_kv_heads": (1, 2),
        "head_width": (3, 8),
        "d_ff": (1, 7, 12),
        "max_positions": (30,),
        "n_layers": (1, 2, 3),
        "n_encoder_layers": (1, 2),
        "n_decoder_layers": (1, 2),
        "PretrainedEmbedding.width": (WIDTH,),
        "scale": (1.0,),
        "windows": ((None,), (5,), (3, None)),
        "backends": ((), ("math",)),
        "clamp": (None, None, 4.0),  # few kernels can
        "MultiHeadAttention.soft_cap": (None, None, 6.0),
        "OutputConfig.soft_cap": (5.0,),
        "dropout": (0.0, 0.2),
        "init_std": (0.02, 0.3),
        "embedding_std": (0.1,),
        "offset": (0, 2),
        "fraction": (0.5, 1.0),
        "buckets": (8, 32),
        "max_distance": (20,),
        "every": (1, 2),
    }
)


def drawn(annotation: Any, values: tuple[Any, ...] = (2,)) -> st.SearchStrategy[Any]:
    """Plain data that the annotation may accept; `values` stand for numbers and tuples."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return drawn(parts[0], values)
    if origin is Literal:
        return st.sampled_from(parts)
    if origin in (Union, UnionType):
        return st.one_of([drawn(part, values) for part in parts])
    if annotation is NoneType:
        return st.none()
    if annotation is bool:
        return st.booleans()
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return st.fixed_dictionaries(
            {
                name: drawn(field.annotation, _values(annotation, name))
                for name, field in annotation.model_fields.items()
            }
        )
    return st.sampled_from(values)


def _values(config: type[BaseModel], name: str) -> tuple[Any, ...]:
    declared = VALUES.get(f"{config.__name__}.{name}", VALUES.get(name))
    if declared is None:
        field = config.model_fields[name]
        return (2,) if field.is_required() else (field.get_default(call_default_factory=True),)
    return declared


def members(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every config that a document may hold, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from members(field.annotation)
    for part in get_args(annotation):
        yield from members(part)


def held(config: BaseModel) -> Iterator[type[BaseModel]]:
    yield type(config)
    for name in type(config).model_fields:
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            yield from held(value)


# The reasons that there are; any other refusal, or an error later on, is a mistake.
REASONS = (
    "multiple of",
    "rotary positions rotate pairs",
    "norm_placement post",
    "cannot be the output",
    "never shows",
    "word vectors fill one table",
)


def test_it_is_refused_or_trains_decodes_and_round_trips(tmp_path: Path) -> None:
    ran: set[type[BaseModel]] = set()

    @settings(
        max_examples=110,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(
        document=drawn(AnyModelConfig), seed=st.integers(0, 2**32), cache=st.sampled_from(get_args(CacheKind))
    )
    def try_it(document: dict[str, Any], seed: int, cache: CacheKind) -> None:
        config = read_or_refused(document)
        if config is not None:
            it_trains_decodes_and_round_trips(config, seed, cache=cache, folder=tmp_path / "checkpoint")
            ran.update(held(config))

    try_it()
    for member in set(members(AnyModelConfig)) - ran:
        it_trains_decodes_and_round_trips(one_with(member), 0, cache="static", folder=tmp_path / "checkpoint")


def one_with(member: type[BaseModel]) -> AnyModelConfig:
    """A config that holds what chance left out; hypothesis's NoSuchExample where every one is refused."""
    config = find(
        drawn(AnyModelConfig).map(read_or_refused),
        lambda config: config is not None and member in held(config),
        settings=settings(max_examples=1000, phases=[Phase.generate], derandomize=True, database=None),
    )
    assert config is not None
    return config


def read_or_refused(document: dict[str, Any]) -> AnyModelConfig | None:
    try:
        return READ.validate_python(document)
    except ValidationError as refusal:
        if all(any(reason in item["msg"] for reason in REASONS) for item in refusal.errors()):
            return None
        raise


def it_trains_decodes_and_round_trips(
    config: AnyModelConfig, seed: int, *, cache: CacheKind, folder: Path
) -> None:
    torch.manual_seed(seed)  # word vectors and dropout
    assert READ.validate_json(config.model_dump_json()) == config
    vectors = torch.randn(TOKENS, WIDTH) if config.embedding.kind == "pretrained" else None
    model = build_model(config, seed, dtype=torch.float64, vectors=vectors)
    assert parameter_count(config) == sum(parameter.numel() for parameter in model.parameters())
    tokens = torch.randint(SOURCE_TOKENS, (2, 18), generator=torch.Generator().manual_seed(seed))
    it_takes_a_step(model, tokens[:, :7])

    save_checkpoint(folder, model.float(), {})
    loaded = load_model(folder, config)
    stored = loaded.state_dict()
    assert stored.keys() == model.state_dict().keys()
    assert all(torch.equal(value, stored[name]) for name, value in model.state_dict().items())
    decodes_alike(model.double().eval(), loaded.double(), tokens, cache=cache)


def it_takes_a_step(model: Transformer | EncoderDecoder, tokens: torch.Tensor) -> None:
    optimizer = SGD(lr=0.1).build(model)
    logits = model(tokens, tokens[:, :-1]) if isinstance(model, EncoderDecoder) else model(tokens[:, :-1])
    torch.autograd.backward(cross_entropy(logits, tokens[:, 1:]))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer.step()
    for name, parameter in model.named_parameters():
        assert parameter.isfinite().all(), name
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            moved = parameter.grad.abs() > 1e-9  # below, a step may be rounded away
            assert torch.equal(moved, moved & (parameter != before[name])), name
        else:
            assert torch.equal(parameter, before[name]), name


@torch.no_grad()
def decodes_alike(
    model: Transformer | EncoderDecoder,
    loaded: Transformer | EncoderDecoder,
    tokens: torch.Tensor,
    *,
    cache: CacheKind,
) -> None:
    """Every logit of the tokens, 14 at once and then one by one, and what greedy decoding writes."""
    plain = model.bind(tokens[:, :7]) if isinstance(model, EncoderDecoder) else model
    other = loaded.bind(tokens[:, :7]) if isinstance(loaded, EncoderDecoder) else loaded
    expected = plain(tokens, cache=None, valid=None)  # (B, T, V)
    assert expected.isfinite().all()
    for kind in get_args(CacheKind):
        held = other.new_cache(kind, batch=2, capacity=18)
        if held is not None:
            parts = (
                other(part, cache=held, valid=None) for part in torch.split(tokens, [14, 1, 1, 1, 1], dim=1)
            )
            torch.testing.assert_close(torch.cat(list(parts), dim=1), expected, rtol=1e-9, atol=1e-9)
    written = greedy(plain, tokens, new_tokens=5, cache="none")
    assert torch.equal(greedy(other, tokens, new_tokens=5, cache=cache), written)


@settings(max_examples=100, derandomize=True)
@given(
    d_model=st.integers(1, 12),
    heads=st.integers(1, 4),
    position=drawn(ModelConfig.model_fields["position"].annotation),
)
def test_sizes_are_either_refused_when_read_or_can_be_run(
    d_model: int, heads: int, position: dict[str, Any]
) -> None:
    try:
        config = ModelConfig.model_validate(
            {
                "vocab_size": 3,
                "d_model": d_model,
                "n_heads": heads,
                "position": position,
                "n_layers": 1,
                "d_ff": 2,
                "max_positions": 4,
            }
        )
    except ValidationError:
        return
    assert build_model(config, 0)(torch.zeros((1, 4), dtype=torch.long)).shape == (1, 4, 3)
