"""The settings of tasks are described as a study writes them."""

from __future__ import annotations

import pytest

from harness.models.config import PRESETS
from harness.study.describing.task_schema import (
    invariants_of,
    partial_definitions,
    referred,
    task_definitions,
    task_setting,
)
from harness.tasks.registry import TASKS


def test_what_the_harness_fills_in_is_left_out() -> None:
    program = task_definitions()["Command"]["properties"]
    assert {"folder", "files"} <= set(program)
    assert not {"source", "values"} & set(program)
    assert "train" not in task_definitions()["TrainedDecoder"]["required"]


def test_a_preset_takes_the_place_of_sizes() -> None:
    model = task_definitions()["ModelConfig"]
    assert model["properties"]["preset"]["enum"] == sorted(PRESETS)
    assert "required" not in model


def test_a_definition_is_there_for_every_reference_and_for_nothing_else() -> None:
    definitions = task_definitions()
    used = {name for schema in definitions.values() for name in referred(schema)}
    assert used | {task.__name__ for task in TASKS.values()} == set(definitions)


def test_a_partial_document_may_lack_every_key() -> None:
    assert "required" in task_definitions()["AdamW"]
    assert not any("required" in schema for schema in partial_definitions().values())
    assert not any("oneOf" in str(schema) for schema in partial_definitions().values())


@pytest.mark.parametrize("name", TASKS)
def test_every_setting_of_every_task_has_a_description(name: str) -> None:
    base = task_setting(TASKS[name], task_definitions())
    assert [setting.name for setting in base.all_inside() if len(setting.description.split()) < 3] == []
    assert [tag["description"] for tag in base.groups if len(tag["description"].split()) < 3] == []


def test_an_invariant_belongs_to_the_tasks_that_have_what_it_needs() -> None:
    assert "cache-parity" in invariants_of(TASKS["generate"])
    assert "cache-parity" not in invariants_of(TASKS["train"])
    assert "accumulation-parity" in invariants_of(TASKS["train"])
    assert invariants_of(TASKS["command"]) == []
