"""How a setting is described: its type, default and bounds in words, and the settings inside it."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from harness.config import FROM_LIST, Config
from harness.study.describing.described_schema import definitions_of
from harness.study.describing.settings import DescribedSetting
from harness.study.levels import Scalar


class Fast(Config):
    kind: Literal["fast"] = "fast"
    speed: float = Field(gt=0.0, le=9.5)


class Slow(Config):
    kind: Literal["slow"] = "slow"
    pauses: Annotated[tuple[int, ...], FROM_LIST] = ()


class Pair(Config):
    both: Annotated[tuple[float, str], FROM_LIST] = (1.0, "a")


class Machine(Config):
    mode: Annotated[Fast | Slow, Field(discriminator="kind")] = Slow()
    parts: dict[str, Pair] = Field(default_factory=dict)
    colour: Literal["red", "green"] | None = None
    count: int = Field(ge=1, lt=10, multiple_of=3)
    levels: dict[str, Scalar] = Field(default_factory=dict)
    title: str = Field(default="", max_length=5)
    inner: Pair = Pair()


@pytest.fixture(scope="module")
def machine() -> DescribedSetting:
    reference = {"$ref": "#/$defs/Machine"}
    definitions = definitions_of([Machine])
    return DescribedSetting(keys=(), path=(), schema=reference, required=True, definitions=definitions)


def test_types_defaults_and_bounds_are_words(machine: DescribedSetting) -> None:
    described = {setting.name: (setting.type, setting.default, setting.bounds) for setting in machine.inner()}
    assert described == {
        "mode": ("settings of kind `fast`, `slow`", "kind: slow", ""),
        "parts": ("mapping of settings", "–", ""),
        "colour": ("`red`, `green` or null", "null", ""),
        "count": ("whole number", "required", "at least 1, below 10, a multiple of 3"),
        "levels": ("mapping of value", "–", ""),
        "title": ("text", '""', "length at most 5"),
        "inner": ("settings", "see below", ""),
    }


def test_the_path_of_a_setting_has_the_kind_and_its_keys_have_not(machine: DescribedSetting) -> None:
    settings = {setting.name: setting for setting in machine.all_inside()}
    assert [name for name in settings if "." in name] == [
        "mode.fast.speed",
        "mode.slow.pauses",
        "parts.both",
        "inner.both",
    ]
    assert settings["mode.fast.speed"].keys == ("mode", "speed")
    assert settings["mode.fast.speed"].bounds == "above 0, at most 9.5"
    assert settings["mode.slow.pauses"].type == "list of whole number"
    assert settings["inner.both"].type == "list of number or text"


def test_groups_can_be_named_otherwise(machine: DescribedSetting) -> None:
    (mode, *_) = machine.inner()
    assert mode.type_with(lambda group: group["properties"]["kind"]["const"].upper()) == "FAST or SLOW"
