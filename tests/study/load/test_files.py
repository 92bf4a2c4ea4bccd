"""Files that are not YAML, or use what a study must not use."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.study.load import load_study
from harness.study.reading.yaml_document import MAX_BYTES
from tests.study.load.refusals import Spoilt, cases, refusal, refusal_of_spoilt
from tests.support.tiny_study import FILE, STUDY, put

REFUSED: tuple[Spoilt, ...] = (
    (
        "a duplicate key",
        "task: generate\n",
        "task: generate\ntask: train\n",
        "4:1: duplicate key 'task'; it is already on line 3",
    ),
    (
        "a list for text",
        "question: Does",
        "question: [Does",
        "3:5: not valid YAML: expected ',' or ']', but got ':'",
    ),
    (
        "an alias",
        "new_tokens: 8\n",
        "new_tokens: &n 8\n  units: *n\n",
        "7:15: the anchor &n is not allowed; write the value out wherever it is needed",
    ),
    (
        "a merge key",
        "  new_tokens: 8\n",
        "  <<: {units: 2}\n  new_tokens: 8\n",
        "7:3: the merge key << is not allowed; write the values out",
    ),
    (
        "a tag",
        "task: generate",
        "task: !!python/name:os.system generate",
        "3:7: the tag !!python/name:os.system is not allowed; use plain values only",
    ),
    (
        "a tag of a mapping",
        "base:\n",
        "base: !plain\n",
        "4:7: the tag !plain is not allowed; use plain values only",
    ),
    (
        "a tag of YAML itself",
        "task: generate",
        "task: !!str generate",
        "3:7: the tag !!str is not allowed; use plain values only",
    ),
    (
        "a second document",
        "scales:\n",
        "---\nscales:\n",
        "26:1: a second YAML document starts here; a file must hold one study",
    ),
    (
        "a number as a key",
        "  new_tokens: 8\n",
        "  1: 2\n  new_tokens: 8\n",
        "7:3: YAML reads the key 1 as an integer; put it in quotes",
    ),
    (
        "a truth as a key",
        "  new_tokens: 8\n",
        "  true: 2\n  new_tokens: 8\n",
        "7:3: YAML reads the key true as true or false; put it in quotes",
    ),
    (
        "null as a key",
        "  new_tokens: 8\n",
        "  null: 2\n  new_tokens: 8\n",
        "7:3: YAML reads the key null as null; put it in quotes",
    ),
    (
        "a list as a key",
        "  new_tokens: 8\n",
        "  ? [a, b]\n  : 2\n  new_tokens: 8\n",
        "7:5: a key must be text, and not empty",
    ),
    (
        "an empty key",
        "  new_tokens: 8\n",
        '  "": 2\n  new_tokens: 8\n',
        "7:3: a key must be text, and not empty",
    ),
    ("NaN", "ratio: 2.0", "ratio: .nan", "23:12: .nan is not allowed; use a finite number"),
    ("minus infinity", "ratio: 2.0", "ratio: -.inf", "23:12: -.inf is not allowed; use a finite number"),
    (
        "a number beyond floats",
        "ratio: 2.0",
        "ratio: 1e999",
        "23:12: 1e999 is not allowed; use a finite number",
    ),
    ("a date", "count: 2", "count: 2020-01-01", "6:54: YAML reads '2020-01-01' as a date; put it in quotes"),
    (
        "half a character",
        "task: generate",
        'task: "\\uD800"',
        "3:7: the text has half of a surrogate pair, which is not a character",
    ),
    (
        "a tab",
        "  new_tokens: 8\n",
        "\tnew_tokens: 8\n",
        "7:1: not valid YAML: found character '\\t' that cannot start any token",
    ),
    (
        "a colon in plain text",
        "It is twice",
        "It is: twice",
        "20:16: not valid YAML: mapping values are not allowed here",
    ),
    (
        "a bracket left open",
        "tokens: 8}",
        "tokens: 8",
        "7:13: not valid YAML: expected ',' or '}', but got ':'",
    ),
    (
        "a null character",
        "task: generate",
        "task: gen\0erate",
        "3:10: not valid YAML: the character U+0000 is not allowed",
    ),
)


@cases(REFUSED)
def test_yaml_that_a_study_must_not_use(old: str, new: str, message: str) -> None:
    assert refusal_of_spoilt(old, new) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "1:1: the file is empty"),
        (b"  \n# nothing\n", "1:1: the file is empty"),
        (b"- a\n- b\n", "1:1: expected a mapping of keys to values"),
        (b"just words\n", "1:1: expected a mapping of keys to values"),
        (b"study: tiny\nsays: caf\xe9\n", "2:10: the file is not UTF-8; save it in this encoding"),
        (STUDY.encode("utf-16"), "1:1: the file is not UTF-8; save it in this encoding"),
        (b"study: " + b"[" * 30_000, "1:27: nested deeper than 20 levels"),
        (b"study: " + b"{a: " * 30_000, "1:84: nested deeper than 20 levels"),
        (b"\n".join(b" " * n + b"a:" for n in range(60)), "21:21: nested deeper than 20 levels"),
    ],
    ids=[
        "empty",
        "comments",
        "list",
        "words",
        "latin-1",
        "utf-16",
        "deep lists",
        "deep mappings",
        "deep blocks",
    ],
)
def test_what_is_no_study_at_all(text: bytes, message: str) -> None:
    put(Path(), text)
    assert refusal() == f"studies/tiny.yaml:{message}"


def test_files_that_are_too_large_are_not_parsed() -> None:
    put(Path(), b"#" * (MAX_BYTES + 1))
    assert refusal() == "studies/tiny.yaml: the file is larger than 200,000 bytes; is it a study?"
    put(Path(), STUDY.encode() + b"#" * (MAX_BYTES - len(STUDY.encode())))
    assert load_study(FILE)[0].study.study == "tiny"


def test_a_directory_and_a_file_that_is_not_there() -> None:
    Path("studies").mkdir()
    assert refusal(Path("studies")) == "studies: the file cannot be read: Is a directory"
    assert refusal(FILE) == "studies/tiny.yaml: the file cannot be read: No such file or directory"


def test_a_byte_order_mark_and_windows_line_ends_are_no_errors() -> None:
    put(Path(), b"\xef\xbb\xbf" + STUDY.replace("\n", "\r\n").encode())
    assert load_study(FILE)[0].study.study == "tiny"
