"""Settings by their dotted paths."""

from __future__ import annotations

from harness.study.dotted_paths import MISSING, leaves, value_at, with_value

DOCUMENT = {"a": {"b": 1, "c": {}}, "d": [2]}


def test_a_setting_is_read_by_its_path() -> None:
    assert value_at(DOCUMENT, "a.b") == 1
    assert value_at(DOCUMENT, "d") == [2]
    assert value_at(DOCUMENT, "a.b.c") is MISSING
    assert value_at(DOCUMENT, "e") is MISSING


def test_a_setting_is_changed_in_a_copy() -> None:
    assert with_value(DOCUMENT, "a.b", 3) == {"a": {"b": 3, "c": {}}, "d": [2]}
    assert with_value(DOCUMENT, "a.c.e", 3) == {"a": {"b": 1, "c": {"e": 3}}, "d": [2]}
    assert with_value({}, "a.b", 3) == {"a": {"b": 3}}
    assert DOCUMENT == {"a": {"b": 1, "c": {}}, "d": [2]}


def test_the_leaves_of_a_document_have_their_paths() -> None:
    assert dict(leaves(DOCUMENT)) == {"a.b": 1, "a.c": {}, "d": [2]}
