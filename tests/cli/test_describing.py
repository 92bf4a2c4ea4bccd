"""`harness describe`: lists and settings as text and as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness.cli.app import app
from harness.exit_codes import ExitCode
from harness.metrics import METRICS
from harness.tasks.registry import TASKS


def describe(*words: str) -> Result:
    return CliRunner().invoke(app, ["describe", *words])


def rows(*words: str) -> Any:
    return json.loads(describe(*words, "--json").stdout)


def test_without_an_argument_the_keys_of_a_study_are_described() -> None:
    described = {row["setting"]: row for row in rows()}
    assert {"question", "base", "claims", "parts", "scales"} <= set(described)
    assert described["task"]["type"] == ", ".join(sorted(TASKS))
    assert "`harness describe task|metrics|claims|invariants|model|PATH`" in describe().stderr


def test_a_setting_is_described_with_its_type_default_and_bounds() -> None:
    assert describe("base.optimizer.adamw.lr").stdout == (
        "base.optimizer.adamw.lr (task step, train)\n"
        "  type number; default required; bounds above 0\n"
        "  The peak learning rate.\n"
    )


def test_a_group_lists_the_settings_inside_it_at_every_depth_with_verbose() -> None:
    (short,), (deep,) = rows("design"), rows("design", "--verbose")
    names = [setting["setting"] for setting in short["settings"]]
    assert "design.until" in names
    assert "design.until.width" not in names
    assert "design.until.width" in [setting["setting"] for setting in deep["settings"]]
    assert describe("design").stdout.count("\n") == 3 + 1 + len(names)


def test_model_is_short_for_the_model_of_a_training() -> None:
    assert rows("model") == rows("train.model")


@pytest.mark.parametrize("words", ["task", "metrics", "claims", "invariants"])
def test_a_list_describes_everything_in_it(words: str) -> None:
    assert all(len(row["description"].split()) > 1 for row in rows(words))


def test_a_metric_is_listed_with_its_tasks_and_its_margin() -> None:
    described = {row["metric"]: row for row in rows("metrics")}
    assert set(described) >= set(METRICS)
    loss = described["validation_loss"]
    assert (loss["tasks"], loss["margin"], loss["better"]) == ("evaluate, train", "1 %", "lower")
    assert described["bleu"]["margin"] == "0.5"
    assert described["cache_bytes"]["margin"] == "–"


def test_a_mistake_is_refused_with_a_suggestion() -> None:
    done = describe("desgin")
    assert done.exit_code == ExitCode.BAD_INPUT
    assert "did you mean 'design'?" in done.stderr
