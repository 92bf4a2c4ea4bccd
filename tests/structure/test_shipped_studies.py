"""Every study that ships is a test: it loads at each of its scales, and what it asks stays the same until
somebody means it.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from harness.study.load import StudyFile, load_study
from harness.study.planning.plan import plan
from harness.study.reading.json_schema import recipe_schema, study_schema

FOLDER = Path(__file__).parents[2] / "studies"
FILES = sorted(FOLDER.glob("*.yaml"))


@functools.cache
def read_twice(file: Path) -> tuple[StudyFile, StudyFile]:
    """The file of a study, and the same file as another command reads it. Each checks all scales once."""
    return StudyFile(file), StudyFile(file)


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_shipped_study_loads_and_plans_at_each_of_its_scales(file: Path) -> None:
    for scale in read_twice(file)[0].scales:
        for part, again in zip(*(study.load(scale) for study in read_twice(file)), strict=True):
            assert part.name == file.stem
            assert plan(part) == plan(again), scale
            cells, design = len(part.arms) * len(part.conditions), part.study.design
            if design.tune is None:  # else the arms that go on are not known yet
                trials = [len(specs) for specs in plan(part).rounds]
                assert trials == [cells] * (design.rounds * design.seeds), scale
            assert all(task.corpora() or task.name == "step" for task in part.tasks.values())


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_shipped_study_has_the_scales_and_the_modeline_that_all_have(file: Path) -> None:
    study, _ = read_twice(file)
    assert set(study.scales) >= {"cpu", "smoke", "gpu"}
    assert all(part.study.design.exploratory for part in study.load("smoke"))
    assert file.read_text().startswith("# yaml-language-server: $schema=study.schema.json\n")


def test_kv_cache_at_its_own_scale_is_frozen() -> None:
    """Update these only if kv_cache.yaml or its recipe changed on purpose. A new setting with a default must
    not change them: whoever has results would lose them with the ids.
    """
    (loaded,) = load_study(FOLDER / "kv_cache.yaml", "cpu")
    planned = plan(loaded)
    assert loaded.study.digest == "042c23ec5f65c657"
    assert [len(planned.trainings), len(planned.checks), len(planned.rounds), len(planned.trials)] == [
        1,
        8,
        10,
        139,
    ]
    first = planned.rounds[0][0]
    assert first.title == "generate cache=static new_tokens=16 seed 0 round 1"
    assert (planned.trainings[0].id, planned.checks[0].id, first.id) == (
        "t2-cc4ae84436f2ee37",
        "t2-42076f954de04e05",
        "t2-9eee303371544fd6",
    )


def test_the_committed_schema_is_the_one_that_the_program_prints() -> None:
    """Update with `harness schema > studies/study.schema.json`, and with `--recipe` for recipes."""
    for file, schema in (("study.schema.json", study_schema()), ("recipe.schema.json", recipe_schema())):
        assert (FOLDER / file).read_text() == json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_the_schema_knows_the_keys_of_every_shipped_study(file: Path) -> None:
    schema, document = study_schema(), YAML(typ="safe", pure=True).load(file.read_text())
    assert set(schema["required"]) <= set(document) <= set(schema["properties"])
    overlay = schema["properties"]["scales"]["additionalProperties"]["propertyNames"]["enum"]
    assert all(set(scale) <= set(overlay) for scale in document["scales"].values())
    assert "study" not in overlay


@pytest.mark.parametrize(
    ("path", "described"),
    [
        (("Design", "rounds"), {"type": "integer", "exclusiveMinimum": 0, "maximum": 10_000}),
        (("RatioClaim", "ratio"), {"type": "number", "exclusiveMinimum": 0.0}),
        (("TrendClaim", "trend"), {"enum": ["increasing", "decreasing"]}),
    ],
)
def test_the_schema_tells_an_editor_the_bounds(path: tuple[str, str], described: dict[str, Any]) -> None:
    described_by_schema = study_schema()["$defs"][path[0]]["properties"][path[1]]
    assert described.items() <= described_by_schema.items()
    assert not study_schema()["$defs"][path[0]]["additionalProperties"]
