"""The names and sentences of a study have a length, and names that become files or anchors have a pattern."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.config import IDENTIFIER_PATTERN
from harness.study.load import load_study
from harness.study.loaded import Study
from harness.study.reading.json_schema import study_schema
from harness.study.reading.yaml_document import MAX_KEY, MAX_TEXT
from tests.study.load.refusals import cases, refusal_of_spoilt
from tests.support.tiny_study import FILE, STUDY, put

LONG = "w" * 5000
SOURCE = "source: must have at most 200 characters, but has 5,000"
NAME_RULE = (
    "use at most 64 letters, digits, dots, hyphens and underscores, and begin with a letter or a digit"
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_longest_texts_are_accepted() -> None:
    text = re.sub(r"question: .*", f"question: {'q' * 1000}", STUDY)
    text = text.replace("says: Nothing changes.", f"says: {'s' * 1000}")
    put(Path(), text.replace("source: here", f"source: {'o' * 200}"))
    assert len(load_study(FILE)[0].study.question) == 1000


@cases(
    [
        ("a question", "Does a", LONG, "question: must have at most 1,000 characters, but has 5,0"),
        ("a source", "source: here, says: Nothing", f"source: {LONG}, says: Nothing", SOURCE),
        (
            "a statement",
            "says: Nothing",
            f"says: {LONG}",
            "says: must have at most 1,000 characters, but has",
        ),
        ("an id", "  fast:", f"  {'w' * 100}:", f"is not a valid id of a claim; {NAME_RULE}"),
        (
            "a blank in an id",
            "  fast:",
            "  fast one:",
            f"'fast one' is not a valid id of a claim; {NAME_RULE}",
        ),
        ("a path as an id", "  fast:", "  ../fast:", f"'../fast' is not a valid id of a claim; {NAME_RULE}"),
        (
            "a path as a scale",
            "  smoke:",
            "  ../smoke:",
            f"scales: '../smoke' is not a valid name; {NAME_RULE}",
        ),
        ("a key", "  smoke:", f"  {'w' * 500}:", "a text of 500 characters; at most 200 are allowed here"),
        (
            "a level",
            "dynamic, static]",
            f"{LONG}, static]",
            "must have at most 200 characters, but has 5,000",
        ),
        ("any text", "Does a", LONG * 3, "a text of 15,0"),
        ("NUL", "question: Does", 'question: "\\0" #', "the character U+0000, which cannot be stored"),
    ]
)
def test_a_text_that_is_too_long_or_not_a_name_is_one_short_line(old: str, new: str, message: str) -> None:
    line = refusal_of_spoilt(old, new)
    assert message in line
    assert len(line) < 500


def test_the_name_of_a_study_and_of_a_part_are_bounded() -> None:
    for old, new in (("study: tiny", f"study: {LONG}"), ("study: tiny", "study: Tiny")):
        line = refusal_of_spoilt(old, new)
        assert "study: " in line
        assert len(line) < 500


def test_the_bounds_of_the_reader_are_above_those_of_the_texts() -> None:
    assert MAX_KEY >= 200
    assert MAX_TEXT > 1000


def test_studies_of_earlier_runs_can_still_be_read() -> None:
    """They were accepted by the rules of their time."""
    put(Path(), STUDY)
    stored = json.loads(load_study(FILE)[0].study.model_dump_json())
    stored["claims"] = {"an old id": stored["claims"]["same"] | {"says": LONG}}
    assert list(Study.model_validate_json(json.dumps(stored)).claims) == ["an old id"]


def test_editors_know_the_bounds() -> None:
    schema = study_schema()
    assert schema["properties"]["question"]["maxLength"] == 1000
    for section in ("claims", "scales"):
        assert schema["properties"][section]["propertyNames"]["pattern"] == IDENTIFIER_PATTERN
    for claim in (part for part in schema["$defs"].values() if "says" in part.get("properties", {})):
        assert claim["properties"]["says"]["maxLength"] == 1000
        assert claim["properties"]["source"]["maxLength"] == 200
