"""Studies are data. Whatever a file contains, reading it ends soon: in plain data or in one short line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import Location, StudyError
from harness.study.reading.yaml_document import MAX_INTEGER, MAX_NODES, read_document, read_text, read_value
from tests.study.refused_in_time import refused

TEXTS: dict[str, tuple[str, str]] = {
    "hexadecimal": ("a: 1\nb: 0x" + "f" * 100_000, "2:4: an integer of 100,002 characters"),
    "octal": ("a: 0o" + "7" * 100_000, "1:4: an integer of 100,002 characters"),
    "binary": ("a: 0b" + "1" * 100_000, "1:4: an integer of 100,002 characters"),
    "decimal": ("a: " + "9" * 4400, "1:4: an integer of 4,400 characters"),
    "negative": ("a: [0, -" + "9" * 4400 + "]", "1:8: an integer of 4,401 characters"),
    "underscores": ("a: 1" + "_" * 100_000 + "1", "1:4: an integer of 100,002 characters"),
    "more than 64 bits": (
        f"a: {MAX_INTEGER + 1}",
        "the integer 9223372036854775808 does not fit into 64 bits",
    ),
    "fraction": ("a: 1." + "1" * 100_000, "1:4: a number of 100,002 characters"),
    "exponent": ("a: 1e" + "1" * 100_000, "1:4: a number of 100,002 characters"),
    "date": ("a: 2001-12-14T21:59:43." + "1" * 5000, "1:4: a date of 5,020 characters"),
    "version": ("%YAML 1." + "1" * 5000 + "\n---\na: 1", "1:9: not valid YAML: a number is out of range"),
    "another version": ("%YAML 1.1\n---\na: yes", "a directive is not allowed"),
    "names of tags": ("%TAG ! tag:x,2000:\n---\na: 1", "a directive is not allowed"),
    "no such character": ('a: "\\U00110000"', "1:7: not valid YAML: a number is out of range"),
    "no such character at all": ('a: "\\UFFFFFFFF"', "1:7: not valid YAML: a number is out of range"),
    "anchors": (
        "a:\n" + "".join(f"  - &a{i} 1\n" for i in range(15_000)),
        "2:5: the anchor &a0 is not allowed",
    ),
    "expanding": ("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]", "1:4: the anchor &a is not allowed"),
    "an alias of nothing": ("a: *b", "1:4: the alias *b is not allowed"),
    "a long anchor": ("a: &" + "x" * 100_000 + " 1", "xxx is not allowed"),
    "a long alias": ("a: *" + "x" * 100_000, "xxx is not allowed"),
    "a long tag": ("a: !" + "x" * 100_000 + " 1", "xxx is not allowed"),
    "a binary value": ("a: !!binary aGVsbG8=", "1:4: the tag !!binary is not allowed"),
    "a long list": ("a: [" + "1," * 90_000 + "]", "more than 5,000 keys and values; is it a study?"),
    "lists in a list": ("[" + "[]," * 60_000 + "]", "more than 5,000 keys and values; is it a study?"),
    "many keys": ("".join(f"k{i}: 1\n" for i in range(17_000)), "2500:8: more than 5,000 keys and values"),
    "deep": ("a: " + "[" * 90_000, "1:23: nested deeper than 20 levels"),
    "dashes": ("- " * 90_000, "1:41: nested deeper than 20 levels"),
}


@pytest.mark.parametrize(("text", "message"), TEXTS.values(), ids=TEXTS.keys())
def test_hostile_text_is_refused_with_its_place_before_it_costs_anything(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    line = refused(lambda: read_document(path))
    assert line.startswith(f"{path}:")
    assert message in line


@pytest.mark.parametrize("form", ["=", "<<", "[=, <<]", "{a: =, b: <<}"])
def test_an_equals_sign_and_two_arrows_are_text(form: str) -> None:
    """YAML 1.1 gave them meanings for which nothing can be built."""
    plain = read_text(f"a: {form}", file="a").data["a"]
    assert (
        plain
        == read_text('a: "="\nb: "<<"\nc: ["=", "<<"]\nd: {a: "=", b: "<<"}', file="a").data[
            {"=": "a", "<<": "b", "[=, <<]": "c"}.get(form, "d")
        ]
    )


def test_a_number_at_the_limits_is_read() -> None:
    text = f"a: [{MAX_INTEGER}, -{MAX_INTEGER}, 0.{'1' * 98}, 0x7fff_ffff]"
    assert read_text(text, file="a").data["a"] == [MAX_INTEGER, -MAX_INTEGER, 1 / 9, 2**31 - 1]
    items = ", ".join("1" * (MAX_NODES - 3))
    assert len(read_text(f"a: [{items}]", file="a").data["a"]) == MAX_NODES - 3


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    os.mkfifo(path)
    assert refused(lambda: read_document(path)) == f"{path}: the file cannot be read: it is a pipe"


@given(st.text(alphabet="ab:=<&*!%?-[]{}\"'#|>, \n\t\\x0u1.eE_+~@\0\ufeff\u2028é", max_size=40))
def test_any_text_is_plain_data_or_one_line(text: str) -> None:
    outcome: Any
    try:
        outcome = read_text(text, file="a").data
    except StudyError as error:
        outcome = str(error)
    assert isinstance(outcome, dict) or (outcome.startswith("a:") and "\n" not in outcome)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0x" + "f" * 100_000, "an integer of 100,002 characters; at most 100 characters are allowed"),
        ("[" + "1," * 90_000 + "]", "more than 5,000 keys and values"),
        ("x" * 300_000, "the text is longer than 200,000 characters"),
        ("[" * 1000, "nested deeper than 20 levels"),
        ("3\nother: 5", "the value has a second line with a key of its own; give one value"),
        ("3\n---\nb: 1", "a second YAML document starts here"),
    ],
    ids=["digits", "nodes", "length", "depth", "keys", "documents"],
)
def test_values_of_the_command_line_have_the_same_limits(text: str, message: str) -> None:
    at = Location("--set a=…")
    line = refused(lambda: read_value(text, at=at))
    assert line.startswith(f"--set a=…: {message}")
