"""What makes the id of a config: every setting that is not at its default, and nothing else."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Discriminator, Field, Tag

from harness.config import FROM_LIST, Config, canonical_json, content, digest
from harness.study.loaded import Study
from harness.tasks.registry import TASKS


class Rotary(Config):
    kind: Literal["rotary"] = "rotary"
    base: float = 10_000.0


class Learned(Config):
    kind: Literal["learned"] = "learned"
    base: float = 10_000.0
    offset: int = 0


class Layer(Config):
    width: int
    position: Annotated[Rotary | Learned, Field(discriminator="kind")] = Rotary()
    scale: float | None = None


class Model(Config):
    layer: Layer
    extra: Annotated[Rotary | Learned, Field(discriminator="kind")] | None = None
    layers: Annotated[tuple[Annotated[Rotary | Learned, Field(discriminator="kind")], ...], FROM_LIST] = ()
    named: dict[str, Layer] = Field(default_factory=dict)
    flag: bool | int = False


class WiderRotary(Config):
    """A copy with a new field."""

    kind: Literal["rotary"] = "rotary"
    base: float = 10_000.0
    fraction: float = 1.0


class WiderLayer(Config):
    """A copy that became the first member of a union, and has new fields."""

    kind: Literal["wide"] = "wide"
    width: int
    position: Annotated[WiderRotary | Learned, Field(discriminator="kind")] = WiderRotary()
    scale: float | None = None
    added: Learned | None = Learned(offset=3)


class OtherLayer(Config):
    kind: Literal["other"] = "other"
    width: int


def _kind(document: Any) -> str:
    return str(document.get("kind", "wide") if isinstance(document, dict) else document.kind)


class WiderModel(Config):
    """A copy of `Model` with the copies above, and with new fields."""

    kind: Literal["model"] = "model"
    layer: Annotated[
        Annotated[WiderLayer, Tag("wide")] | Annotated[OtherLayer, Tag("other")], Discriminator(_kind)
    ]
    extra: Annotated[WiderRotary | Learned, Field(discriminator="kind")] | None = None
    layers: Annotated[
        tuple[Annotated[WiderRotary | Learned, Field(discriminator="kind")], ...], FROM_LIST
    ] = ()
    named: dict[str, WiderLayer] = Field(default_factory=dict)
    flag: bool | int = False
    seeds: tuple[int, ...] = (1, 2)


POSITIONS = st.one_of(
    st.fixed_dictionaries({"kind": st.just("rotary")}, optional={"base": st.sampled_from([1e4, 5.0])}),
    st.fixed_dictionaries(
        {"kind": st.just("learned")},
        optional={"base": st.sampled_from([1e4, 5.0]), "offset": st.integers(0, 1)},
    ),
)
LAYERS = st.fixed_dictionaries(
    {"width": st.integers(1, 2)}, optional={"position": POSITIONS, "scale": st.sampled_from([None, 1.0])}
)
MODELS = st.fixed_dictionaries(
    {"layer": LAYERS},
    optional={
        "extra": st.none() | POSITIONS,
        "layers": st.lists(POSITIONS, max_size=2),
        "named": st.dictionaries(st.sampled_from("ab"), LAYERS, max_size=2),
        "flag": st.sampled_from([False, True, 0, 1]),
    },
)


def config_id(config: BaseModel) -> str:
    return digest(content(config))


@given(one=MODELS, other=MODELS)
def test_two_configs_share_an_id_only_if_they_are_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = Model.read(one), Model.read(other)
    equal = canonical_json(first.plain()) == canonical_json(second.plain())
    assert (config_id(first) == config_id(second)) is equal


@given(document=MODELS)
def test_a_new_field_with_a_default_changes_no_id(document: dict[str, Any]) -> None:
    assert content(WiderModel.read(document)) == content(Model.read(document))


@pytest.mark.parametrize(
    "changed",
    [
        {"layer": {"width": 1, "added": None}},
        {"layer": {"width": 1, "added": {"kind": "learned", "offset": 0}}},
        {"layer": {"width": 1, "position": {"kind": "rotary", "fraction": 0.5}}},
        {"layer": {"kind": "other", "width": 1}},
        {"layer": {"width": 1}, "seeds": [1]},
        {"layer": {"width": 1}, "extra": {"kind": "rotary"}},
    ],
)
def test_a_new_field_that_is_not_at_its_default_changes_the_id(changed: dict[str, Any]) -> None:
    assert config_id(WiderModel.read(changed)) != config_id(WiderModel.read({"layer": {"width": 1}}))


def test_the_content_of_a_config() -> None:
    document = {"layer": {"width": 2, "position": {"kind": "learned"}}, "layers": [{"kind": "rotary"}]}
    assert content(Model.read(document)) == {
        "layer": {"width": 2, "position": {"kind": "learned"}},
        "layers": [{}],
    }


def unions(annotation: Any, known: set[type[BaseModel]]) -> list[tuple[type[BaseModel], ...]]:
    """The config classes of every field that holds one of several, however deep."""
    classes_of_unions = []
    classes = [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
    for config in classes:
        if config not in known:
            known.add(config)
            for field in config.model_fields.values():
                members = tuple(directly(field.annotation))
                classes_of_unions += [members] if len(members) > 1 else []
                classes_of_unions += unions(field.annotation, known)
    for inner in getattr(annotation, "__args__", ()):
        classes_of_unions += unions(inner, known)
    return classes_of_unions


def directly(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [member for inner in getattr(annotation, "__args__", ()) for member in directly(inner)]


def signature(config: type[BaseModel]) -> frozenset[str]:
    """What the content of a member always says: its tag, and the fields that it must have."""
    fields = config.model_fields.items()
    tags = {f"{name}={field.default}" for name, field in fields if name == "kind"}
    return frozenset(tags or {name for name, field in fields if field.is_required()})


def test_the_members_of_every_union_of_a_study_can_be_told_apart() -> None:
    """So that the content of one is never the content of another."""
    known: set[type[BaseModel]] = set()
    checked = [members for config in (Study, *TASKS.values()) for members in unions(config, known)]
    assert len(checked) > 5
    for members in checked:
        for one, other in itertools.combinations(dict.fromkeys(members), 2):
            assert signature(one) != signature(other), (one, other)
