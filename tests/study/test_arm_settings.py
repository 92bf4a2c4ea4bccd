"""What levels set, as `plan` and the report show it."""

from __future__ import annotations

from pathlib import Path

from harness.study.arm_settings import changed_by_levels, differences, setting_text
from harness.study.load import load_study
from tests.support.tiny_study import RECIPE, STUDY, put, spoilt, tuned_study


def test_a_level_that_sets_several_things_names_those_that_change(tmp_path: Path) -> None:
    loaded = tuned_study(
        tmp_path,
        (
            "  clip: [1.0, 0.5, 0.25, 2.0]",
            (
                "  way:\n    - a: {clip: 1.0}\n    - b: {clip: 0.5, compile: false, "
                "optimizer: {kind: lion, lr: 1e-4}}"
            ),
        ),
    )
    (arm,) = loaded.arms[1:]
    assert list(changed_by_levels(loaded, arm)) == [("way", "b", ("clip", "optimizer"))]
    assert differences(loaded, arm)["optimizer.kind"] == ["adamw", "lion"]
    assert differences(loaded, arm)["clip"] == [1.0, 0.5]


def test_a_recipe_counts_as_the_settings_of_its_training(tmp_path: Path) -> None:
    text = spoilt(STUDY, "  cache: [none, dynamic, static]", "  model.recipe: [small, longer]")
    text = text[: text.index("claims:")].replace(
        "invariants", "parity: {differ: [updates, training_tokens]}\ninvariants"
    )
    put(tmp_path, text)
    changed = RECIPE.replace("updates: 4", "updates: 8").replace("lr: 1e-3", "lr: 1e-2")
    (tmp_path / "studies" / "recipes" / "longer.yaml").write_text(changed)
    (loaded,) = load_study(tmp_path / "studies" / "tiny.yaml")
    changes = [changed for _, _, changed in changed_by_levels(loaded, loaded.arms[1])]
    assert list(map(set, changes)) == [{"model.train.updates", "model.train.optimizer"}]


def test_values_are_written_as_in_a_study() -> None:
    values = [None, True, False, 2, 0.001, "dynamic"]
    assert [setting_text(value) for value in values] == ["null", "true", "false", "2", "0.001", "dynamic"]
