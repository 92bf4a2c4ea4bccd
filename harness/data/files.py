"""Corpora in the user's own files: .txt and .txt.gz are running text; .tsv and .jsonl are read by column.

The files are data that may come from anywhere. Reading one ends with text or with one line that names the
file, and never needs more memory than its text.
"""

from __future__ import annotations

import gzip
import io
import json
import stat
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.config import digest
from harness.data.cache import file_sha256, read_verified
from harness.data.content import Content, Corpus, Row, as_content
from harness.data.reference import Column, FilesCorpus
from harness.data.splits import RUNNING_DIVISION, SPLITS, Fractions, running_split, stable_split
from harness.errors import CorpusError, Location, did_you_mean

RUNNING_TEXT = (".txt", ".txt.gz")
TABLES = (".tsv", ".jsonl")

MAX_TEXT_BYTES = 10**9
"""The most text in one file, unpacked. A text is kept in memory."""

_CHUNK_BYTES = 2**20
_MOST_NAMES = 1000  # of a line's columns are compared with one that is missing


def files_corpus(config: FilesCorpus) -> Corpus:
    """The corpus in the files of `config`.

    Raises CorpusError as `load_corpus` does. The message names the file and the line.
    """
    given = {"train": config.files or config.train, "valid": config.valid, "test": config.test}
    for path in (path for paths in given.values() for path in paths):
        _check_format(Path(path), config)
    sha256 = {path: file_digest(Path(path)) for paths in given.values() for path in paths}
    for split in ("valid", "test"):
        _check_held_out(split, given, sha256)
    fractions = config.fractions
    shares = {"train": 1.0, "valid": fractions.valid, "test": fractions.test}
    splits = tuple(split for split in SPLITS if (shares[split] > 0.0 if config.files else given[split]))

    def read(split: str) -> Content:
        paths = [Path(path) for path in (config.files or given[split])]
        if config.column is None and config.source is None:
            texts = [file_text(path, sha256[str(path)]) for path in paths]
            return "".join(running_split(t, split, fractions=fractions) if config.files else t for t in texts)
        rows = [row for path in paths for row in _rows(path, sha256[str(path)], config)]
        chosen = _rows_of_split(rows, split, fractions=fractions) if config.files else rows
        return as_content(chosen, paired=config.source is not None)

    content = {split: [sha256[path] for path in paths] for split, paths in given.items()}
    settings = config.model_dump(mode="json", include={"column", "source", "target", "fractions"})
    if config.files and config.column is None and config.source is None:
        settings["running_division"] = RUNNING_DIVISION
    return Corpus(
        name=(config.files or config.train)[0],
        kind="pairs" if config.source is not None else "text",
        digest=digest({"files": content, "divided": not config.files, "settings": settings}),
        splits=splits,
        read=read,
    )


def _rows_of_split(rows: Iterable[Row], split: str, *, fractions: Fractions) -> list[Row]:
    """The rows of `split`, chosen by the hash of their text or source: equal ones are in the same split."""
    divide = partial(stable_split, salt="rows", fractions=fractions)
    return [row for row in rows if divide(row[0]) == split]


def _check_held_out(split: str, given: Mapping[str, Iterable[str]], sha256: Mapping[str, str]) -> None:
    trained_on = {sha256[path]: path for path in given["train"]}
    for path in given[split]:
        if sha256[path] in trained_on:
            raise CorpusError(
                f"the file has the same content as {trained_on[sha256[path]]}, so split {split} is not held "
                "out from split train",
                at=Location(path),
                hint="give other text, or use `files`, of which fractions are held out",
            )


def _check_format(path: Path, config: FilesCorpus) -> None:
    columns = config.column is not None or config.source is not None
    if path.name.endswith(RUNNING_TEXT):
        if columns:
            raise CorpusError(
                "a file of running text has no columns",
                at=Location(str(path)),
                hint="leave column, source and target out, or use a file of type " + " or ".join(TABLES),
            )
    elif not path.name.endswith(TABLES):
        known = ", ".join(RUNNING_TEXT + TABLES)
        raise CorpusError(
            f"unknown type of file {path.suffix or path.name!r}",
            at=Location(str(path)),
            hint=f"use one of {known}",
        )
    elif not columns:
        raise CorpusError(
            "the columns of the text are not given",
            at=Location(str(path)),
            hint="add column, or source and target",
        )


def check_files(config: FilesCorpus) -> None:
    """Look at the files of a corpus without reading them: that they exist, and the columns of their first
    line.

    Raises CorpusError.
    """
    columns = [column for column in (config.column, config.source, config.target) if column is not None]
    for path in map(Path, (*config.files, *config.train, *config.valid, *config.test)):
        _check_format(path, config)
        with _readable(path), path.open("rb") as file:
            lines = iter(partial(file.readline, _CHUNK_BYTES), b"")
            first = next((line for line in lines if line.strip()), b"")
        if columns and 0 < len(first) < _CHUNK_BYTES:
            line = first.decode("utf-8-sig", errors="replace").rstrip("\r\n")
            rows = _tsv_rows if path.suffix == ".tsv" else _jsonl_rows
            next(rows(path, [(1, line)], columns), None)


def file_digest(path: Path) -> str:
    """The SHA-256 of a file. Raises CorpusError if it cannot be read or has more than MAX_TEXT_BYTES."""
    with _readable(path):
        return file_sha256(path)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raises CorpusError if the file cannot be read or has more than MAX_TEXT_BYTES."""
    at = Location(str(path))
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device may never end
            raise CorpusError("it is not a regular file", at=at, hint="copy its text into a file")
        if status.st_size > MAX_TEXT_BYTES:
            raise _too_large(at)
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        hint = f"relative paths start at the working directory, {Path.cwd()}"
        raise CorpusError(f"the file cannot be read: {reason}", at=at, hint=hint) from error


def file_text(path: Path, sha256: str) -> str:
    """The text of a plain or .gz file.

    Raises CorpusError if the text is not UTF-8, empty or longer than MAX_TEXT_BYTES, or if the file no longer
    has this digest.
    """
    content = read_verified(
        path, sha256, what="the corpus", hint="the file changed while it was in use; run again"
    )
    if path.name.endswith(".gz"):
        content = _unpacked(content, Location(str(path)))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        hint = "save the file as UTF-8, for example with iconv"
        at = Location(str(path), content.count(b"\n", 0, error.start) + 1)
        raise CorpusError(f"the text is not UTF-8 at byte {error.start}", at=at, hint=hint) from error
    if not text.strip():
        raise CorpusError("the file is empty", at=Location(str(path)))
    return text


def _unpacked(content: bytes, at: Location) -> bytes:
    """The text of a gzip file. It is counted before it is kept, because a small file can unpack to any
    size.
    """
    try:
        size = 0
        for part in _unpacked_parts(content):
            size += len(part)
            if size > MAX_TEXT_BYTES:
                raise _too_large(at)
        return b"".join(_unpacked_parts(content))
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"the gzip file is damaged: {error}", at=at, hint="compress it again") from error


def _unpacked_parts(content: bytes) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        while part := file.read(_CHUNK_BYTES):
            yield part


def _too_large(at: Location) -> CorpusError:
    return CorpusError(
        f"the file has more than {MAX_TEXT_BYTES:,} bytes of text", at=at, hint="divide it into several files"
    )


def _rows(path: Path, sha256: str, config: FilesCorpus) -> Iterator[Row]:
    columns = [column for column in (config.column, config.source, config.target) if column is not None]
    text = file_text(path, sha256)
    # Only \n ends a line: str.splitlines would also split at U+2028 and other characters that text may have.
    lines = [
        (number, line.removesuffix("\r"))
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]
    return _tsv_rows(path, lines, columns) if path.suffix == ".tsv" else _jsonl_rows(path, lines, columns)


def _tsv_rows(path: Path, lines: list[tuple[int, str]], columns: list[Column]) -> Iterator[Row]:
    header = lines[0][1].split("\t")
    named = [column for column in columns if isinstance(column, str)]
    for column in named:
        at = Location(str(path), lines[0][0])
        if column not in header:
            raise _no_column(column, header, at)
        if header.count(column) > 1:
            raise CorpusError(f"there are several columns {column!r}", at=at, hint="rename one of them")
    indices = [header.index(column) if isinstance(column, str) else column - 1 for column in columns]
    for number, line in lines[1:] if named else lines:
        cells = line.split("\t")
        if len(cells) <= max(indices):
            raise CorpusError(
                f"the line has {len(cells)} columns, but column {max(indices) + 1} is needed",
                at=Location(str(path), number),
            )
        yield tuple(cells[index] for index in indices)


def _jsonl_rows(path: Path, lines: list[tuple[int, str]], columns: list[Column]) -> Iterator[Row]:
    for number, line in lines:
        at = Location(str(path), number)
        row = _json(line, at)
        if not isinstance(row, dict):
            raise CorpusError("the line is not a JSON object", at=at)
        for column in columns:
            if column not in row:
                raise _no_column(column, row, at)
        cells = tuple(row[column] for column in columns)
        for column, cell in zip(columns, cells, strict=True):
            _check_text(cell, column, at)
        yield cells


def _json(line: str, at: Location) -> Any:
    try:
        return json.loads(line, object_pairs_hook=_json_object)
    except json.JSONDecodeError as error:
        at = replace(at, column=error.colno)
        raise CorpusError(f"the line is not JSON: {error.msg}", at=at) from error
    except RecursionError as error:
        raise CorpusError("the line is nested too deeply", at=at) from error
    except ValueError as error:  # Python's limit on the digits of an integer
        raise CorpusError("the line has an integer that is too long to be read", at=at) from error


def _json_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise json.JSONDecodeError("a key occurs twice", "", 0)
    return row


def _check_text(cell: object, column: Column, at: Location) -> None:
    if not isinstance(cell, str):
        raise CorpusError(
            f"column {column!r} has a value of type {type(cell).__name__} instead of text", at=at
        )
    try:
        cell.encode()
    except UnicodeEncodeError as error:  # JSON can write half of a surrogate pair, UTF-8 cannot
        raise CorpusError(
            f"column {column!r} has half of a surrogate pair at character {error.start}", at=at
        ) from error


def _no_column(column: Column, known: object, at: Location) -> CorpusError:
    names = [str(name) for name in known] if isinstance(known, (list, dict)) else []
    hint = did_you_mean(str(column), names[:_MOST_NAMES])
    return CorpusError(f"there is no column {column!r}", at=at, hint=hint)
