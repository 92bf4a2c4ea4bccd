"""The JSON schema accepts every study that ships, and an editor that uses it sees mistakes at any depth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from harness.study.reading.json_schema import recipe_schema, study_schema

jsonschema = pytest.importorskip("jsonschema", reason="the extra dev is not installed completely")
ROOT = Path(__file__).parents[3]
STUDIES = [*ROOT.glob("studies/*.yaml"), *ROOT.glob("harness/calibrate/studies/*.yaml")]
RECIPES = [*ROOT.glob("studies/recipes/*.yaml"), *ROOT.glob("harness/calibrate/studies/recipes/*.yaml")]


def read(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema.Draft202012Validator.check_schema(study_schema())
    return jsonschema.Draft202012Validator(study_schema())


@pytest.mark.parametrize("file", STUDIES, ids=[file.stem for file in STUDIES])
def test_every_study_that_ships_is_valid(file: Path, validator: Any) -> None:
    assert [error.message for error in validator.iter_errors(read(file.read_text()))] == []


def test_every_recipe_that_ships_is_valid() -> None:
    recipes = jsonschema.Draft202012Validator(recipe_schema())
    assert len(RECIPES) > 5
    assert [error.message for file in RECIPES for error in recipes.iter_errors(read(file.read_text()))] == []


STUDY = read("""
study: small
question: Is it so?
task: generate
base: {model: {recipe: lm-nano}, prompts: {corpus: python-docs, count: 2, tokens: 16}, new_tokens: 16}
compare:
  cache: [none, static]
  model.train.updates: [5, 10]
  sizes: [a: {new_tokens: 4}, b: {new_tokens: 8}]
across: {prompts.count: [1, 2]}
primary: decode_tokens_per_second
invariants: [cache-parity]
claims: {faster: {source: me, says: It is so., level: {cache: static}, direction: better}}
scales: {smoke: {across: {prompts.count: null}, base: {units: 1}}}
""")
PROGRAM = read("""
study: program
question: Is it so?
task: command
base: {command: ["{python}", run.py, "--size={size}"], size: 4, folder: code}
compare: {size: [4, 8]}
metrics: {val_loss: {better: lower, paired_over: seeds}}
primary: val_loss
""")
TRAIN = read("""
study: training
question: Is it so?
task: train
base:
  corpus: python-docs
  tokenizer: {kind: bytes}
  model: {preset: nano, norm: {kind: rmsnorm}}
  precision: bf16-autocast
  batch: 4
  length: 16
  updates: 5
compare:
  optimizer.kind: [adamw, adam]
  model.norm.eps: [1e-5, 1e-6]
  batch: [4, 8]
  corpus: [python-docs, wikitext-2]
primary: validation_loss
""")
IN_PARTS = read("""
study: parted
question: Is it so?
parts:
  one:
    task: step
    base: {batch: 2, length: 8, model: {preset: nano, vocab_size: 50}}
    compare: {length: [8, 9]}
    primary: update_seconds
""")


@pytest.mark.parametrize("study", [STUDY, PROGRAM, TRAIN, IN_PARTS], ids=lambda study: study["study"])
def test_a_study_of_any_task_is_valid(study: Any, validator: Any) -> None:
    assert [error.message for error in validator.iter_errors(study)] == []


def changed(document: Any, path: str, value: Any) -> Any:
    """A copy of a document with another value at a path."""
    key, slash, rest = path.partition("/")
    return {**document, key: changed(document.get(key, {}), rest, value) if slash else value}


@pytest.mark.parametrize(
    ("study", "path", "value"),
    [
        (STUDY, "base/cahce", "none"),
        (STUDY, "base/cache", "nonne"),
        (STUDY, "base/prompts/count", 0),
        (STUDY, "base/model/train", {"optimizer": {"kind": "adamw", "learning_rate": 1}}),
        (STUDY, "compare/cache", ["none", "staic"]),
        (STUDY, "compare/new_tokns", [4, 8]),
        (STUDY, "compare/model.train.updats", [4, 8]),
        (STUDY, "across/prompts.count", [1, "two"]),
        (STUDY, "primary", "validation_loss"),
        (STUDY, "claims/faster/metric", "validation_loss"),
        (STUDY, "invariants", ["accumulation-parity"]),
        (STUDY, "scales/smoke/base/cahce", "none"),
        (STUDY, "design", {"round": 3}),
        (TRAIN, "base/model", {"preset": "nano", "norm": {"kind": "rmsnorm", "epsilon": 1}}),
        (TRAIN, "base/precision", "bf17"),
        (TRAIN, "compare/optimizer.kind", ["adamw", "adamm"]),
        (TRAIN, "compare/model.norm.eps", ["small", 1]),
        (PROGRAM, "base/command", "run.py"),
        (PROGRAM, "base/source", "0123"),
        (PROGRAM, "base/size", ["a list"]),
        (IN_PARTS, "parts/one/base/bacth", 2),
        (IN_PARTS, "parts/one/primary", "validation_loss"),
    ],
)
def test_a_mistake_at_any_depth_is_seen(study: Any, path: str, value: Any, validator: Any) -> None:
    assert not validator.is_valid(changed(study, path, value))


def test_the_keys_beside_the_parts_are_those_of_their_task(validator: Any) -> None:
    part = {key: value for key, value in STUDY.items() if key not in ("study", "question", "scales", "task")}
    study = {"study": "parted", "question": "Is it so?", "task": "generate", "parts": {"one": part}}
    assert validator.is_valid(study)
    assert not validator.is_valid(changed(study, "parts/one/base/cahce", "none"))
    assert not validator.is_valid(changed(study, "base/cahce", "none"))
    assert validator.is_valid(changed(study, "parts/two", IN_PARTS["parts"]["one"]))


def undescribed(schema: Any, path: str = "") -> Iterator[str]:
    """The properties without a description of a few words."""
    for key, described in schema.get("properties", {}).items():
        if len(described.get("description", "").split()) < 3:
            yield f"{path}.{key}"
        yield from undescribed(described, f"{path}.{key}")


@pytest.mark.parametrize("schema", [study_schema(), recipe_schema()], ids=["study", "recipe"])
def test_every_property_has_a_description(schema: Any) -> None:
    bodies = {name for name in schema["$defs"] if name.startswith("task ")}  # they repeat keys of the study
    described = {name: schema for name, schema in schema["$defs"].items() if name not in bodies}
    assert list(undescribed(schema)) == []
    assert [path for name, inner in described.items() for path in undescribed(inner, name)] == []
    levels = [schema["$defs"][name]["properties"]["compare"] for name in bodies]
    assert [path for inner in levels for path in undescribed(inner)] == []
