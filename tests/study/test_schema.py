"""Digests name content: what a file looks like changes none, what it says changes all that depends on it."""

from __future__ import annotations

import random
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from harness.config import canonical_json, digest
from harness.study.load import load_study
from harness.study.planning.plan import plan
from tests.support.tiny_study import RECIPE, STUDY, loaded, put, spoilt

TWO_FACTORS = spoilt(
    STUDY,
    "  cache: [none, dynamic, static]",
    "  cache: [none, dynamic, static]\n  prompts.tokens: [8, 4]\nparity: {differ: [prompt_tokens, prompts]}",
)
TWO_FACTORS = spoilt(TWO_FACTORS, "[8, 16, 32]", "[8, 16, 32]\n  prompts.count: [1, 2]")
TWO_FACTORS = spoilt(TWO_FACTORS, "{new_tokens: 32}", "{prompts.count: 1, new_tokens: 32}")
TWO_FACTORS = TWO_FACTORS[: TWO_FACTORS.index("scales:")]


def ids(folder: Path, text: str, recipe: str = RECIPE) -> tuple[str, list[str]]:
    (study,) = load_study(put(folder, text, recipe=recipe))
    return study.study.digest, [trial.id for trial in plan(study).trials]


@pytest.fixture(scope="module")
def as_written(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """The ids of the study with two factors."""
    return ids(tmp_path_factory.mktemp("study"), TWO_FACTORS)


@pytest.fixture(scope="module")
def tiny_ids(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    return ids(tmp_path_factory.mktemp("study"), STUDY)


def shuffled(data: Any, order: random.Random) -> Any:
    """The same mappings with their keys in another order; lists mean their order."""
    if isinstance(data, dict):
        keys = order.sample(sorted(data), len(data))
        return {key: shuffled(data[key], order) for key in keys}
    return [shuffled(item, order) for item in data] if isinstance(data, list) else data


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6))
def test_the_order_of_keys_means_nothing(
    tmp_path: Path, as_written: tuple[str, list[str]], seed: int
) -> None:
    order, yaml = random.Random(seed), YAML(typ="safe", pure=True)
    out = StringIO()
    yaml.dump(shuffled(yaml.load(TWO_FACTORS), order), out)
    assert ids(tmp_path, out.getvalue()) == as_written


def test_comments_white_space_and_spelling_of_numbers_mean_nothing(
    tmp_path: Path, tiny_ids: tuple[str, list[str]]
) -> None:
    text = "# a study\n\n" + STUDY.replace("rounds: 10}", "rounds:   10 }   # ten").replace(
        "\nacross", "\n\n\nacross"
    )
    text = text.replace("study: tiny", 'study: "tiny"').replace("count: 2", "count: 0x2")
    recipe = RECIPE.replace("1e-3", "0.001") + "# the end\n"
    assert ids(tmp_path, text, recipe) == tiny_ids


CHANGES = [
    ("faster?", "faster now?"),
    ("says: Nothing changes.", "says: Little changes."),
    ("source: here, says: The gain", "source: there, says: The gain"),
    ("ratio: 2.0", "ratio: 2.1"),
    ("ratio: 2.0", "ratio: 2.0\n    within: 1.3"),
    ("trend: increasing", "trend: decreasing"),
    ("at: {new_tokens: 32}", "at: {new_tokens: 8}"),
    (", also_holds: cache-bytes", ""),
    ("primary:", "margins: {time: 0.04}\nprimary:"),
    ("primary:", "parity: {differ: [updates]}\nprimary:"),
    ("rounds: 10", "rounds: 11"),
    ("seeds: 1", "seeds: 2"),
    ("rounds: 10", "rounds: 10, order_seed: 1"),
    ("rounds: 10", "rounds: 10, exploratory: true"),
    ("dynamic, static]", "dynamic]"),
    ("[8, 16, 32]", "[8, 16, 24, 32]"),
    ("[cache-parity, cache-bytes]", "[cache-bytes, cache-parity]"),
    ("primary: decode_tokens_per_second", "primary: tokens_per_second"),
    ("count: 2", "count: 3"),
    ("{recipe: small}", "{recipe: small, train: {updates: 5}}"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES, ids=[new[:40] for _, new in CHANGES])
def test_whatever_could_change_a_verdict_changes_the_study(
    tmp_path: Path, tiny_ids: tuple[str, list[str]], old: str, new: str
) -> None:
    assert ids(tmp_path, spoilt(STUDY, old, new))[0] != tiny_ids[0]


def test_what_a_recipe_says_is_part_of_the_study_and_of_every_trial(
    tmp_path: Path, tiny_ids: tuple[str, list[str]]
) -> None:
    after = ids(tmp_path, STUDY, spoilt(RECIPE, "updates: 4", "updates: 5"))
    assert tiny_ids[0] != after[0]
    assert not set(tiny_ids[1]) & set(after[1])


def test_a_claim_is_no_part_of_a_trial(tmp_path: Path, tiny_ids: tuple[str, list[str]]) -> None:
    assert ids(tmp_path, spoilt(STUDY, "ratio: 2.0", "ratio: 9.0"))[1] == tiny_ids[1]


def test_the_digest_of_plain_data_is_frozen() -> None:
    """Old databases are found by these: when this fails, every stored run has lost its name."""
    assert canonical_json({"b": [1, 2.5, None], "a": "é"}) == '{"a":"é","b":[1,2.5,null]}'
    assert digest({"b": [1, 2.5, None], "a": "é"}) == "d764fee2563da33e"


def test_numbers_that_json_has_no_word_for_have_no_digest() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        digest({"x": float("nan")})


def test_a_resolved_study_reads_back_as_itself(tmp_path: Path) -> None:
    study = loaded(tmp_path).study
    assert type(study).read(study.plain()) == study
