"""Every field of every config refuses values of another type, whatever the config is read from.

The configs are collected from the annotations, so that a new config is tested without an edit here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import MappingProxyType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

from harness.models.config import AnyModelConfig, LossConfig
from harness.models.decoding.config import Decoding

# A value for each type that a document can hold. No string here is a valid level of any field.
EXAMPLES = MappingProxyType(
    {
        bool: (True, False),
        int: (1, 0, 7),
        float: (0.5, 1e-3),
        str: ("no", "off", "yes", "0.02", "0.1", "1", "1e-2", ""),
        list: ([], [1]),
        dict: ({}, {"kind": "no such kind"}),
    }
)


def configs(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every config that a document may contain, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from configs(field.annotation)
    for part in get_args(annotation):
        yield from configs(part)


def accepted_types(annotation: Any) -> set[type]:
    """The types of plain data that a field with this annotation may take."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return accepted_types(parts[0])
    if origin is Literal or annotation is type(None):
        return set()
    if origin is tuple:
        return {list}
    if parts:
        assert origin is Union or type(annotation).__name__ == "UnionType", annotation
        return set().union(*(accepted_types(part) for part in parts))
    if issubclass(annotation, BaseModel):
        return {dict}
    return {float, int} if annotation is float else {annotation}


ALL = sorted(
    {config for root in (AnyModelConfig, LossConfig, Decoding) for config in configs(root)},
    key=lambda config: config.__name__,
)
FIELDS = [(config, name) for config in ALL for name in config.model_fields]


@pytest.mark.parametrize(("config", "name"), FIELDS, ids=[f"{c.__name__}.{name}" for c, name in FIELDS])
def test_a_field_refuses_every_other_type(config: type[BaseModel], name: str) -> None:
    accepted = accepted_types(config.model_fields[name].annotation)
    for kind, values in EXAMPLES.items():
        for value in values if kind not in accepted else ():
            with pytest.raises(ValidationError) as in_json:
                config.model_validate_json(json.dumps({name: value}))
            with pytest.raises(ValidationError) as in_python:
                config.model_validate({name: value})
            for refusal in (in_json.value, in_python.value):
                assert name in {error["loc"][0] for error in refusal.errors() if error["loc"]}, value


def test_the_settings_that_were_once_converted_are_among_the_fields() -> None:
    names = {f"{config.__name__}.{name}" for config, name in FIELDS}
    assert names >= {
        "ModelConfig.tie_embeddings",
        "ModelConfig.init_std",
        "EncoderDecoderConfig.dropout",
        "LossConfig.label_smoothing",
        "BeamSearch.width",
    }
