"""Unions of configs take members of plug-ins, and are otherwise as they were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from harness.config import Config, content
from harness.errors import InputError
from harness.open_union import kind_of
from harness.plugins import PLUGINS_VARIABLE, RefusedError, using
from harness.study.load import load_study
from harness.training.optim import SGD, OptimizerConfig
from tests.support.plugins import OPTIMIZER, importable, write_module
from tests.support.tiny_study import RECIPE

ADAPTER: TypeAdapter[Any] = TypeAdapter(OptimizerConfig)


class Holder(Config):
    optimizer: OptimizerConfig


@pytest.fixture
def sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A plug-in that adds the optimizer `sign`."""
    monkeypatch.delenv(PLUGINS_VARIABLE, raising=False)
    write_module(tmp_path, "parts", OPTIMIZER)
    with importable(tmp_path, "parts"), using(["parts"]):
        yield


@pytest.mark.usefixtures("sign")
def test_a_member_of_a_plugin_is_read_written_and_has_a_content_of_its_own() -> None:
    holder = Holder.read({"optimizer": {"kind": "sign", "lr": 0.1}})
    assert type(holder.optimizer).__name__ == "SignDescent"
    assert holder.plain() == {"optimizer": {"kind": "sign", "lr": 0.1, "weight_decay": 0.0, "momentum": 0.0}}
    assert Holder.read(json.loads(holder.model_dump_json())) == holder
    assert content(holder) == {"optimizer": {"kind": "sign", "lr": 0.1}}
    assert Holder(optimizer=holder.optimizer) == holder
    assert content(Holder(optimizer=SGD(lr=0.1))) == {"optimizer": {"lr": 0.1}}


@pytest.mark.usefixtures("sign")
@pytest.mark.parametrize(
    ("document", "place_of_error"),
    [
        ({"kind": "sign"}, "lr"),
        ({"kind": "sign", "lr": "fast"}, "lr"),
        ({"kind": "sign", "lr": 1, "x": 1}, "x"),
    ],
)
def test_a_mistake_in_a_member_of_a_plugin_has_its_location(document: Any, place_of_error: str) -> None:
    with pytest.raises(ValidationError) as error:
        Holder.read({"optimizer": document})
    assert error.value.errors()[0]["loc"][-1] == place_of_error


def test_the_schema_describes_what_ships() -> None:
    kinds = [member["$ref"].rsplit("/", 1)[1] for member in ADAPTER.json_schema()["oneOf"]]
    assert (kinds[0], len(kinds)) == ("SGD", 11)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: sgn", "optimizer.kind: 'sgn' is not an allowed value; did you mean 'sgd'"),
        ("kind: broken", "optimizer: 'broken' is not an allowed value; it may be in the plug-in broken_part"),
        ("lr: 1.0", "missing key 'kind' in optimizer"),
    ],
)
def test_a_study_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    write_module(tmp_path, "broken_part", "1 / 0")
    recipe = RECIPE.replace("optimizer: {kind: adamw, lr: 1e-3}", f"optimizer: {{{text}, weight_decay: 0.0}}")
    study = tmp_path / "s.yaml"
    base = "".join(f"  {line}\n" for line in recipe.splitlines())
    study.write_text(
        f"study: s\nquestion: Why?\ntask: train\nbase:\n{base}compare: {{updates: [4, 8]}}\n"
        "primary: validation_loss\ndesign: {exploratory: true}\n",
        encoding="utf-8",
    )
    plugged = using(["broken_part"]) if "broken" in text else using([])
    with importable(tmp_path, "broken_part"), plugged, pytest.raises(InputError) as error:
        load_study(study)
    assert message in str(error.value)


def test_a_member_needs_a_kind() -> None:
    assert kind_of(SGD) == "sgd"
    with pytest.raises(RefusedError, match="Holder has no `kind"):
        kind_of(Holder)
