"""What differs between runs, from what they recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from harness.experiment.run_differences import RunDifference, run_differences, setting_differences
from tests.support.made_up_run import made_up_run

RUN = made_up_run(
    "a-1",
    study_json=json.dumps({"study": "s", "design": {"rounds": 4}, "compare": {"cache": ["none"]}}),
    environment={"cpu": "x", "packages": {"torch": "2.8"}, "nvml_reason": "none"},
    created_at="2026-01-01",
)


def test_equal_runs_do_not_differ() -> None:
    environment = {**RUN.environment, "nvml_reason": "other"}
    assert run_differences([RUN, replace(RUN, id="a-2", environment=environment)]) == []


def test_every_kind_of_difference_has_a_value_per_run() -> None:
    study = json.dumps({"study": "s", "design": {"rounds": 8, "seeds": 2}, "compare": {"cache": ["none"]}})
    packages = {"cpu": "x", "packages": {"torch": "2.9"}, "nvml_reason": None}
    other = replace(RUN, code_digest="f", plant="x/y", study_json=study, environment=packages)
    assert run_differences([RUN, other, RUN]) == [
        RunDifference(kind="study", path="design.rounds", values=("4", "8", "4")),
        RunDifference(kind="study", path="design.seeds", values=("–", "2", "–")),
        RunDifference(kind="run", path="code", values=("c", "f", "c")),
        RunDifference(kind="run", path="planted bug", values=("none", "x/y", "none")),
        RunDifference(kind="machine", path="packages.torch", values=("2.8", "2.9", "2.8")),
    ]


TEXTS = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | TEXTS, lambda inner: st.lists(inner, max_size=3)
)


@given(VALUES)
@example("").via("texts that look like something else in YAML")
@example("~")
@example("true")
@example(" a")
@example("a: b")
@example("- a")
@example("a #b")
@example("?")
def test_the_text_of_a_setting_reads_back_as_its_value(value: Any) -> None:
    differences = setting_differences({"x": {"before": 1}}, {"x": value})
    assert YAML(typ="safe", pure=True).load(differences[-1].now) == value
