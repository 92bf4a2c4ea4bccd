"""A trial's id names its content: a stored trial keeps it whatever the code of today has added."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError, create_model

from harness.config import canonical_json
from harness.study.load import load_study
from harness.study.planning.plan import plan
from harness.tasks import registry
from harness.trial import spec as spec_module
from harness.trial.spec import TRIAL_ID, TrialSpec, current_id, first_id

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))


@cache
def shipped_trials() -> dict[str, TrialSpec]:
    """The trials of the first round of every shipped study, and its trainings, by their id."""
    parts = [part for path in STUDIES for part in load_study(path, "smoke")]
    return {trial.id: trial for part in parts for trial in plan(part).trials if trial.round < 2}


def leaves(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    inner = [leaf for key, value in items for leaf in leaves(value, (*path, key))]
    yield from inner or [path]


def changed(spec: TrialSpec, path: tuple[str | int, ...], value: Any) -> TrialSpec:
    document = copy.deepcopy(spec.plain())
    node = document["config"]
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return TrialSpec.read(document)


def test_ids_are_frozen() -> None:
    """Old databases are found by these: when this fails, every stored run has lost its name."""
    spec = TrialSpec(
        purpose="measure",
        task="generate",
        arm="cache=none",
        condition={"new_tokens": "8"},
        seed=0,
        round=1,
        config={"x": 1},
    )
    assert spec.id == "t2-d039da4f889e6062"
    assert first_id(spec.model_dump_json()) == "d039da4f889e6062"
    assert spec.title == "generate cache=none new_tokens=8 seed 0 round 1"
    assert all(TRIAL_ID.fullmatch(name) for name in (spec.id, "d039da4f889e6062"))


def test_different_shipped_trials_have_different_ids() -> None:
    texts = {canonical_json(trial.plain()) for trial in shipped_trials().values()}
    assert len(texts) == len(shipped_trials())


@given(data=st.data())
def test_another_setting_is_another_trial(data: st.DataObject) -> None:
    trial = data.draw(st.sampled_from(list(shipped_trials().values())))
    path = data.draw(st.sampled_from(list(leaves(trial.config))))
    value: Any = data.draw(
        st.sampled_from([None, True, False, 0, 1, 2, 7, 0.5, 3.0, [], "none", "adamw", "sgd"])
    )
    other = changed(trial, path, value)
    if other.purpose != "check":
        try:
            after = registry.task_class(other.task).read(other.config).plain()
        except ValidationError:
            return
        before = registry.task_class(trial.task).read(trial.config).plain()
        assert (other.id == trial.id) is (canonical_json(after) == canonical_json(before))


def test_a_new_setting_with_a_default_changes_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {json.dumps(trial.plain()): name for name, trial in shipped_trials().items()}
    wider = {
        name: create_model(task.__name__, __base__=task, added=(int, 3))
        for name, task in registry.TASKS.items()
    }
    monkeypatch.setattr(registry, "TASKS", wider)
    spec_module._config_text.cache_clear()
    try:
        for text, name in before.items():
            assert TrialSpec.model_validate_json(text).id == name
        trial = next(trial for trial in shipped_trials().values() if trial.purpose == "measure")
        assert changed(trial, ("added",), 4).id != changed(trial, ("added",), 3).id == trial.id
    finally:
        spec_module._config_text.cache_clear()


@pytest.mark.parametrize(
    "update",
    [
        {"round": 2},
        {"purpose": "lead-in"},
        {"condition": {"new_tokens": "16"}},
        {"generator_seed": 5},
        {"config": {}},
    ],
    ids=str,
)
def test_a_copy_has_the_id_of_its_own_content(update: dict[str, Any]) -> None:
    trial = next(trial for trial in shipped_trials().values() if trial.purpose == "measure")
    remembered = trial.id, trial.condition_key, trial.config_key
    copied = trial.model_copy(update=update)
    made = TrialSpec.read({**trial.plain(), **update})
    assert copied == made
    keys = (made.id, made.condition_key, made.config_key)
    assert (copied.id, copied.condition_key, copied.config_key) == keys != remembered


def test_a_stored_trial_is_found_by_the_id_of_today() -> None:
    trial = next(iter(shipped_trials().values()))
    text = trial.model_dump_json()
    assert current_id(text, first_id(text)) == trial.id
    assert current_id("{}", "0123456789abcdef") == "0123456789abcdef"
