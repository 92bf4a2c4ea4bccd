"""Hugging Face data sets, which are streamed into the cache once (needs the extra `data`)."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.config import digest
from harness.data.cache import cache_dir, read_checksummed, write_checksummed
from harness.data.content import Content, Corpus, Row, as_content
from harness.data.reference import Column, HfCorpus
from harness.data.splits import SPLITS
from harness.errors import CorpusError, did_you_mean


def hub_corpus(config: HfCorpus) -> Corpus:
    """The data set of `config`. It is read from the cache if it was streamed before, unless it is a local
    folder that has changed.

    Raises CorpusError if the extra is not installed, if there is no such data set, split or column, or if
    there is no network.
    """
    names = {split: name for split in SPLITS if (name := getattr(config, split)) is not None}
    folder = cache_dir() / "hf" / digest({"config": config.plain(), "local": _local_state(config.dataset)})
    payloads = {split: _cached(config, name, folder / split) for split, name in names.items()}

    def read(split: str) -> Content:
        return as_content(
            (tuple(row) for row in json.loads(payloads[split])), paired=config.source is not None
        )

    return Corpus(
        name=config.dataset,
        kind="pairs" if config.source is not None else "text",
        digest=digest({split: hashlib.sha256(payload).hexdigest() for split, payload in payloads.items()}),
        splits=tuple(names),
        read=read,
    )


def _cached(config: HfCorpus, name: str, path: Path) -> bytes:
    payload = read_checksummed(path)
    if payload is None:
        try:
            rows = list(_stream(config, name))
        except CorpusError as error:
            if not path.exists():
                raise
            message = f"{error.message}; the copy in the cache is damaged: {path}"
            hint = "run again with a network" if error.hint is None else error.hint
            raise CorpusError(message, hint=hint) from error
        payload = json.dumps(rows, ensure_ascii=False).encode()
        write_checksummed(path, payload)
    return payload


def _stream(config: HfCorpus, name: str) -> Iterator[Row]:
    """The rows of the split that the data set calls `name`."""
    try:
        import datasets
    except ModuleNotFoundError as error:
        hint = "install it with: pip install 'transformer-harness[data]'"
        raise CorpusError(f"data set {config.dataset!r} needs the package `datasets`", hint=hint) from error

    try:
        rows = datasets.load_dataset(
            config.dataset, config.config, split=name, revision=config.revision, streaming=True
        )
        for row in itertools.islice(rows, config.rows):
            yield tuple(
                _cell(config, column, row)
                for column in (config.column, config.source, config.target)
                if column
            )
    except (CorpusError, MemoryError):
        raise
    except Exception as error:  # `datasets` passes on the errors of whatever reads a format
        raise CorpusError(f"data set {config.dataset!r}, split {name!r}: {_one_line(error)}") from error


def _cell(config: HfCorpus, column: Column, row: dict[str, Any]) -> str:
    """The text in `column`. A dot in its name leads into a column that has columns."""
    value: Any = row
    for step in str(column).split("."):
        if not isinstance(value, dict) or step not in value:
            known = [str(key) for key in value] if isinstance(value, dict) else []
            hint = did_you_mean(step, known)
            raise CorpusError(f"data set {config.dataset!r} has no column {column!r}", hint=hint)
        value = value[step]
    if not isinstance(value, str):
        raise CorpusError(
            f"data set {config.dataset!r}: column {column!r} has values of type {type(value).__name__}, "
            "but text is needed"
        )
    return value


def _local_state(dataset: str) -> list[tuple[str, int, int]]:
    """Names, sizes and times of the files of a local folder; an empty list for a name on the hub."""
    try:
        if not Path(dataset).is_dir():
            return []
    except OSError:  # no folder can have such a name
        return []
    files = sorted(path for path in Path(dataset).rglob("*") if path.is_file())
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]


def _one_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
