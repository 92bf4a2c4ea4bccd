from __future__ import annotations

import gzip
import json
import os
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.data import files
from harness.data.content import Pair
from harness.data.corpus import load_corpus
from harness.data.reference import FilesCorpus
from harness.data.splits import SPLITS, Fractions
from harness.errors import CorpusError

TEXT = "".join(f"line {i} says \u2028 hé\r\n" for i in range(1000))


def write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def load(path: str, **settings: Any) -> Any:
    return load_corpus(FilesCorpus(files=(path,), **settings))


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_running_text_is_cut_between_lines_and_nothing_is_lost(tmp_path: Path, name: str) -> None:
    content = TEXT.encode()
    corpus = load(write(tmp_path / name, gzip.compress(content) if name.endswith("gz") else content))
    parts = [corpus.text(split) for split in SPLITS]
    assert "".join(parts) == TEXT
    assert all(part.startswith("line") and part.endswith("\n") for part in parts)
    assert [round(len(part) / len(TEXT), 2) for part in parts] == [0.9, 0.05, 0.05]


def test_files_of_each_split(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{name}.txt", f"{name}\n") for name in ("one", "two", "three")]
    corpus = load_corpus(FilesCorpus(train=tuple(paths[:2]), test=(paths[2],)))
    assert corpus.splits == ("train", "test")
    assert corpus.text("train") == "one\ntwo\n"
    assert corpus.text("test") == "three\n"


def test_rows_of_a_table_are_divided_by_their_own_hash(tmp_path: Path) -> None:
    rows = [f"row {i // 3}" for i in range(3000)]
    path = write(tmp_path / "a.jsonl", "".join(json.dumps({"text": row, "id": 1}) + "\n" for row in rows))
    corpus = load(path, column="text", fractions=Fractions(valid=0.1, test=0.2))
    parts = [corpus.text(split).splitlines() for split in SPLITS]
    assert sorted(row for part in parts for row in part) == sorted(rows)
    assert sum(len(set(part)) for part in parts) == 1000  # equal rows never part
    assert [len(part) / 3000 for part in parts] == pytest.approx([0.7, 0.1, 0.2], abs=0.04)


@pytest.mark.parametrize(
    ("content", "columns"),
    [("en\tid\tes\r\nGo.\t1\tVe.\r\n", ("en", "es")), ("Go.\t1\tVe.\n\n", (1, 3))],
)
def test_pairs_by_name_and_by_number(tmp_path: Path, content: str, columns: Sequence[Any]) -> None:
    path = write(tmp_path / "a.tsv", content)
    corpus = load_corpus(FilesCorpus(train=(path,), source=columns[0], target=columns[1]))
    assert corpus.pairs("train") == [Pair("Go.", "Ve.")]


def test_the_digest_follows_content_and_division_and_not_the_path(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one.txt", TEXT), write(tmp_path / "two.txt", TEXT)
    assert load(one).digest == load(two).digest
    assert load(one, fractions=Fractions(test=0.1)).digest != load(one).digest
    assert load_corpus(FilesCorpus(train=(one,))).digest != load(one).digest
    before = load(one).digest
    write(tmp_path / "one.txt", TEXT + "x")
    assert load(one).digest != before


def test_a_file_that_changes_in_use_is_noticed(tmp_path: Path) -> None:
    corpus = load(write(tmp_path / "a.txt", TEXT))
    write(tmp_path / "a.txt", TEXT[:-2] + "!\n")
    with pytest.raises(CorpusError, match="changed while it was in use"):
        corpus.text("train")


@pytest.mark.parametrize(
    ("name", "content", "settings", "message"),
    [
        ("a.txt", "", {}, r"a\.txt: the file is empty"),
        ("a.txt", " \n\n", {}, r"a\.txt: the file is empty"),
        ("a.txt", b"ab\nc\xe9d", {}, r"a\.txt:2: the text is not UTF-8 at byte 4; save the file as UTF-8"),
        ("a.txt", TEXT.encode("utf-16"), {}, r"a\.txt:1: the text is not UTF-8 at byte 0"),
        ("a.txt.gz", gzip.compress(b"ab\xff", mtime=0), {}, r"a\.txt\.gz:1: the text is not UTF-8 at byte 2"),
        (
            "a.txt.gz",
            gzip.compress(TEXT.encode(), mtime=0)[:-20],
            {},
            r"a\.txt\.gz: the gzip file is damaged",
        ),
        ("a.txt.gz", b"plain", {}, r"a\.txt\.gz: the gzip file is damaged"),
        (
            "a.csv",
            "a,b",
            {},
            r"a\.csv: unknown type of file '\.csv'; use one of \.txt, \.txt\.gz, \.tsv, \.jsonl",
        ),
        ("a.txt", "x", {"column": "text"}, r"a\.txt: a file of running text has no columns"),
        ("a.tsv", "x\ty", {}, r"a\.tsv: the columns of the text are not given; add column"),
        (
            "a.tsv",
            "text\tid\nx\ty\n",
            {"column": "txt"},
            r"a\.tsv:1: there is no column 'txt'; did you mean 'text'",
        ),
        ("a.tsv", "x\ty\nz\n", {"column": 2}, r"a\.tsv:2: the line has 1 columns, but column 2 is needed"),
        (
            "a.jsonl",
            '{"a": "x"}\n\n{"b": "x"}\n',
            {"column": "a"},
            r"a\.jsonl:3: there is no column 'a'; known: b",
        ),
        ("a.jsonl", '{"a": "x"}\n{"a": }\n', {"column": "a"}, r"a\.jsonl:2:7: the line is not JSON"),
        ("a.jsonl", "[1]\n", {"column": "a"}, r"a\.jsonl:1: the line is not a JSON object"),
        (
            "a.jsonl",
            '{"a": 3}\n',
            {"column": "a"},
            r"a\.jsonl:1: column 'a' has a value of type int instead of text",
        ),
        (
            "a.jsonl",
            '{"a": "x\\ud800"}\n',
            {"column": "a"},
            r"a\.jsonl:1: .*half of a surrogate pair at character 1",
        ),
        ("a.txt", "x", {"fractions": Fractions(valid=0.5, test=0.0)}, "split 'train' of corpus .* is empty"),
        (
            "a.jsonl",
            '{"a": "x"}\n{"a": "x", "n": ' + "9" * 4400 + "}\n",
            {"column": "a"},
            r"a\.jsonl:2: the line has an integer that is too long to be read",
        ),
        ("a.jsonl", "[" * 100_000, {"column": "a"}, r"a\.jsonl:1: the line is nested too deeply"),
        (
            "a.jsonl",
            '{"n": {"b": 1, "b": 2}, "a": "x"}\n',
            {"column": "a"},
            r"a\.jsonl:1:1: the line is not JSON: a key occurs twice",
        ),
        (
            "a.jsonl",
            json.dumps({f"k{number}": 1 for number in range(100_000)}),
            {"column": "k"},
            r"a\.jsonl:1: there is no column 'k'; did you mean",
        ),
        ("a.tsv", "a\tb\ta\n1\t2\t3\n", {"column": "a"}, r"a\.tsv:1: there are several columns 'a'"),
    ],
)
def test_bad_files(
    tmp_path: Path, name: str, content: str | bytes, settings: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / name, content)
    before = time.process_time()
    with pytest.raises(CorpusError, match=message) as caught:
        load(path, **settings).text("train")
    assert "\n" not in str(caught.value)
    assert time.process_time() - before < 2  # a limit that none of them comes near


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        CorpusError, match=r"none\.txt: the file cannot be read: No such file.*relative paths start at"
    ):
        load(str(tmp_path / "none.txt"))


def test_text_of_one_line_is_divided(tmp_path: Path) -> None:
    corpus = load(write(tmp_path / "a.txt", "anarchism originated as a term of abuse " * 1000))
    parts = [corpus.text(split) for split in SPLITS]
    assert [round(len(part) / 40_000, 2) for part in parts] == [0.9, 0.05, 0.05]
    assert len("".join(parts)) == 40_000


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_refused_and_not_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.txt"
    make = {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "folder": Path.mkdir}
    make[kind](path)
    with pytest.raises(CorpusError, match=r"a\.txt: it is not a regular file"):
        load(str(path))


@pytest.mark.parametrize("name", ["\0", "x" * 5000])
def test_names_that_no_file_can_have(name: str) -> None:
    with pytest.raises(CorpusError, match="the file cannot be read: "):
        load(f"{name}.txt")


MEMBER = gzip.compress(b"0123456789abcde\n" * 2**16, mtime=0)
"""1 MiB of text in a few kilobytes. A gzip file may have many members."""


@pytest.mark.parametrize("members", [1, 3])
def test_members_of_a_gzip_file_are_one_text(tmp_path: Path, members: int) -> None:
    corpus = load_corpus(FilesCorpus(train=(write(tmp_path / "a.txt.gz", MEMBER * members),)))
    assert corpus.text("train") == "0123456789abcde\n" * 2**16 * members


@pytest.mark.parametrize("content", [MEMBER * 200, gzip.compress(bytes(200 * 2**20), mtime=0)])
def test_a_gzip_bomb_is_refused_while_memory_stays_flat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """200 MiB of text, where 20 are allowed: one long member, and many short ones."""
    monkeypatch.setattr(files, "MAX_TEXT_BYTES", 20 * 2**20)
    path = write(tmp_path / "a.txt.gz", content)
    corpus = load(path)
    tracemalloc.start()
    with pytest.raises(CorpusError, match=r"a\.txt\.gz: the file has more than 20,971,520 bytes of text"):
        corpus.text("train")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_a_plain_file_beyond_the_limit_is_not_even_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(write(tmp_path / "a.txt", ""))
    os.truncate(path, files.MAX_TEXT_BYTES + 1)  # a hole, which takes no space
    monkeypatch.setattr(files, "file_sha256", None)
    with pytest.raises(CorpusError, match="the file has more than 1,000,000,000 bytes of text; divide it"):
        load(str(path))


@pytest.mark.parametrize("cut", [1, 4, 9, 100, 1000])
@pytest.mark.parametrize("members", [1, 2])
def test_a_gzip_file_that_was_cut_or_changed_is_damaged(tmp_path: Path, cut: int, members: int) -> None:
    shorter = (MEMBER * members)[:-cut]
    flipped = bytearray(MEMBER * members)
    flipped[-cut] ^= 1
    for content in (shorter, bytes(flipped), MEMBER * members + b"garbage"):
        with pytest.raises(CorpusError, match=r"a\.txt\.gz: the gzip file is damaged: .*; compress it again"):
            load(write(tmp_path / "a.txt.gz", content)).text("train")
