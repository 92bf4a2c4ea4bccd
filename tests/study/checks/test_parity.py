"""Settings of the measurement are those that are marked, wherever they stand in a task."""

from __future__ import annotations

import pytest

from harness.config import MEASUREMENT
from harness.tasks.registry import TASKS

MEASURING = {
    "train": {"evaluate_every", "evaluation_tokens", "evaluate_as_trained", "divergence"},
    "step": {"units", "warm_up"},
    "evaluate": {"evaluation_tokens", "batch"},
    "generate": {"units", "warm_up"},
    "translate": {"units", "warm_up"},
    "continue_text": {"units", "warm_up"},
    "command": {"timeout"},
}


@pytest.mark.parametrize("name", sorted(TASKS))
def test_the_settings_of_a_measurement_are_marked(name: str) -> None:
    fields = TASKS[name].model_fields.items()
    assert {key for key, field in fields if MEASUREMENT in field.metadata} == MEASURING[name]
