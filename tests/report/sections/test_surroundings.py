"""How to repeat a study: the commands do what the page says."""

from __future__ import annotations

import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from harness.report.sections.surroundings import surroundings_view
from harness.study.load import load_study
from tests.report.synthetic import study, synthetic_report

STUDIES = Path(__file__).parents[3] / "studies"


def test_the_command_of_one_row_plans_that_row_alone() -> None:
    (loaded,) = load_study(STUDIES / "kv_cache.yaml", "cpu", ["design.rounds=9"])
    view = surroundings_view([replace(synthetic_report(), loaded=loaded)])
    assert view.row == "cache=dynamic against the baseline, new tokens 256"
    words = shlex.split(view.one_row)
    settings = [word for flag, word in pairwise(words) if flag == "--set"]
    (again,) = load_study(Path(words[2]), "cpu", settings)
    assert [arm.names for arm in again.arms] == [{"cache": "none"}, {"cache": "dynamic"}]
    assert [condition.names for condition in again.conditions] == [{"new_tokens": "256"}]
    assert again.study.design.rounds == 9
    assert again.tasks.items() <= loaded.tasks.items()


@pytest.mark.parametrize(
    "changes",
    [
        {"study": "cache/speed"},
        {"compare": {"cache": ["none", "dynamic"], "units": [1, 2]}},
        {"design": {"rounds": 6, "tune": {"grid": {"units": [1, 2]}}}},
    ],
    ids=["part", "factors", "tuned"],
)
def test_no_command_is_given_where_levels_depend_on_more(changes: dict[str, Any]) -> None:
    report = synthetic_report(study(**{"design": {"rounds": 6}, "claims": {}} | changes))
    view = surroundings_view([report])
    assert (view.row, view.one_row) == ("", "")
    assert view.command == report.command


def test_what_differs_between_the_parts_is_not_among_what_they_share() -> None:
    one = synthetic_report()
    other = replace(one, environment={**one.environment, "threads": 4})
    named = [replace(part, loaded=one.loaded) for part in (one, other)]
    view = surroundings_view(named)
    assert view.differences == (("threads", ("1", "4")),)
    assert "threads" not in dict(view.environment)
    assert surroundings_view([one]).differences == ()
