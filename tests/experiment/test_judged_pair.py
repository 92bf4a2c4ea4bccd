"""Two versions as a study: its name, its arms, and what it measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from harness.errors import InputError
from harness.experiment.judged_pair import DEFAULT_ROUNDS, JudgedPair, Question, judged_pair


@pytest.fixture
def here(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.py").write_text(f"print('{name}')\n")
    return tmp_path


def pair(here: Path, a: str = "a", b: str = "b", **changes: Any) -> JudgedPair:
    question = {"metric": "val_loss", "higher": False, "command": "train {seed}", **changes}
    return judged_pair(a, b, Question(**question), folder=here / "judge", here=here)


def versions(text: str) -> dict[str, Any]:
    parts: dict[str, Any] = YAML(typ="safe").load(text)["parts"]
    study: dict[str, Any] = parts["versions"]
    return study


def test_all_questions_about_a_pair_have_one_name(here: Path) -> None:
    asked = [
        pair(here),
        pair(here, "b", "a"),
        pair(here, margin=0.02),
        pair(here, higher=True),
        pair(here, seeds=9),
        pair(here, budget=60.0),
        pair(here, controls={"c": "true"}),
        pair(here, metric="accuracy"),
    ]
    assert len({one.name for one in asked}) == 1
    assert len({one.asked for one in asked}) == len(asked)
    assert pair(here).asked == asked[0].asked
    assert pair(here, command="train --other {seed}").name != asked[0].name
    (here / "b" / "train.py").write_text("changed")
    assert pair(here).name != asked[0].name


def test_a_name_fits_a_study_with_the_longest_control(here: Path) -> None:
    assert len(f"{pair(here).name}/control_{'c' * 20}") <= 64


def test_the_study_of_seeds(here: Path) -> None:
    study = versions(pair(here, seeds=9, margin=0.02, timeout=5.0).study())
    assert study["design"] == {"seeds": 9, "rounds": 1}
    assert study["metrics"]["val_loss"] == {"better": "lower", "compared_by": "ratio", "paired_over": "seeds"}
    assert study["margins"] == {"val_loss": 0.02}
    assert study["claims"]["better"]["level"] == {"version": "B: b"}
    arms = [next(iter(arm.items())) for arm in study["compare"]["version"]]
    assert [name for name, _ in arms] == ["A: a", "B: b"]
    assert [settings["folder"] for _, settings in arms] == [str(here / "a"), str(here / "b")]
    assert all(settings["timeout"] == 5.0 for _, settings in arms)


def test_the_study_of_rounds(here: Path) -> None:
    assert versions(pair(here, rounds=12).study())["design"] == {"seeds": 1, "rounds": 12}
    assert versions(pair(here, until=0.1).study())["design"] == {
        "seeds": 1,
        "rounds": 50,
        "until": {"width": 0.1},
    }
    timed = versions(pair(here, metric="command_seconds").study())
    assert (timed["design"], "metrics" in timed) == ({"seeds": 1, "rounds": DEFAULT_ROUNDS}, False)


def test_a_budget_changes_the_number_of_pairs_only(here: Path) -> None:
    assert versions(pair(here).study(20))["design"] == {"seeds": 20, "rounds": 1}
    assert versions(pair(here, rounds=10).study(20))["design"] == {"seeds": 1, "rounds": 20}


@pytest.mark.parametrize("question", [{}, {"rounds": 10}, {"until": 0.1}])
def test_a_pilot_is_one_pair_that_decides_nothing(here: Path, question: dict[str, Any]) -> None:
    pilot = YAML(typ="safe").load(pair(here, controls={"c": "true"}, **question).pilot())["parts"]
    assert [part["design"] for part in pilot.values()] == [{"exploratory": True}] * 2


def test_a_metric_may_have_the_name_of_one_of_the_harness(here: Path) -> None:
    study = versions(pair(here, metric="validation_loss").study())
    assert study["primary"] == "program_validation_loss"
    output = study["metrics"]["program_validation_loss"]["output"]
    assert output == {"kind": "json-lines", "name": "validation_loss"}
    other = {"kind": "csv", "file": "log.csv", "column": "x"}
    study = versions(pair(here, metric="validation_loss", values=other).study())
    assert study["metrics"]["program_validation_loss"]["output"] == other


@pytest.mark.parametrize("metric", ["", "Loss", "val loss", "a-b", "x: 1", "1st"])
def test_a_name_that_is_no_name_of_a_metric(here: Path, metric: str) -> None:
    with pytest.raises(InputError, match="is no name of a metric"):
        pair(here, metric=metric).study()


def test_commands_are_versions_if_no_command_is_shared(here: Path) -> None:
    made = pair(here, "train --lr 1 {seed}", "train --lr '2 3' {seed}", command=None)
    assert made.commands == (["train", "--lr", "1", "{seed}"], ["train", "--lr", "2 3", "{seed}"])
    with pytest.raises(InputError, match="there is nothing to judge"):
        pair(here, "train {seed}", "train  {seed}", command=None)


def test_the_same_files_under_two_names_are_nothing_to_judge(here: Path) -> None:
    (here / "b" / "train.py").write_text("print('a')\n")
    with pytest.raises(InputError, match="there is nothing to judge"):
        pair(here)
