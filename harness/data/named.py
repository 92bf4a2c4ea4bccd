"""Reads the named corpora. Every cached file is verified by its hash when it is read."""

from __future__ import annotations

import bz2
import gzip
from collections import defaultdict
from functools import cache, partial

from harness.config import digest
from harness.data.cache import read_verified
from harness.data.catalogue import CatalogueEntry
from harness.data.content import Corpus, Pair, Vectors
from harness.data.fetch import corpus_dir, python_docs_path
from harness.data.splits import Fractions, stable_split

TATOEBA_HELD_OUT = Fractions(valid=1 / 60, test=1 / 60)  # about 2,000 English sentences each
PYTHON_DOCS_HELD_OUT = Fractions(valid=0.1, test=0.1)


def named_corpus(entry: CatalogueEntry) -> Corpus:
    """The corpus of `entry`, which must have been fetched.

    Reading it raises CorpusError on a damaged file.
    """
    make = {
        "wikitext-2": _wikitext,
        "tatoeba-en-es": _tatoeba,
        "glove-6b-50d": _glove,
        "python-docs": _python_docs,
    }
    return make[entry.name](entry)


def _wikitext(entry: CatalogueEntry) -> Corpus:
    def read(split: str) -> str:
        return gzip.decompress(_file(entry, f"{split}.raw.gz")).decode()

    return Corpus(
        name=entry.name, kind=entry.kind, digest=_files_digest(entry), splits=entry.splits, read=read
    )


def _tatoeba(entry: CatalogueEntry) -> Corpus:
    """Rows are sorted by length, and a source may have several translations: all pairs of a source are in the
    same split.
    """

    @cache
    def divided() -> dict[str, list[Pair]]:
        """All splits at once, because reading each one alone would take a pass over the file."""
        pairs: dict[str, list[Pair]] = defaultdict(list)
        for row in _file(entry, "spa.tsv").decode().split("\n"):
            if row:
                source, target, attribution = row.split("\t")
                pairs[divide(source)].append(Pair(source, target, attribution))
        return pairs

    divide = partial(stable_split, salt=entry.name, fractions=TATOEBA_HELD_OUT)
    identity = digest({"files": _files_digest(entry), "held_out": TATOEBA_HELD_OUT.plain()})
    return Corpus(
        name=entry.name,
        kind=entry.kind,
        digest=identity,
        splits=entry.splits,
        read=lambda split: list(divided()[split]),
    )


def _glove(entry: CatalogueEntry) -> Corpus:
    def read(_split: str) -> Vectors:
        import numpy as np

        text = bz2.decompress(_file(entry, "glove.6B.50d.txt.bz2")).decode()
        rows = [line.partition(" ") for line in text.split("\n") if line]
        values = np.fromstring(" ".join(numbers for _, _, numbers in rows), dtype=np.float32, sep=" ")
        return Vectors([word for word, _, _ in rows], values.reshape(len(rows), -1))

    return Corpus(
        name=entry.name, kind=entry.kind, digest=_files_digest(entry), splits=entry.splits, read=read
    )


def _python_docs(entry: CatalogueEntry) -> Corpus:
    python_docs_path()  # raises an error if this Python has none
    from pydoc_data.topics import topics

    def read(split: str) -> str:
        return "\n\n".join(topics[topic] for topic in sorted(topics) if divide(topic) == split)

    divide = partial(stable_split, salt=entry.name, fractions=PYTHON_DOCS_HELD_OUT)
    identity = digest({"topics": dict(topics), "held_out": PYTHON_DOCS_HELD_OUT.plain()})
    return Corpus(name=entry.name, kind=entry.kind, digest=identity, splits=entry.splits, read=read)


def _file(entry: CatalogueEntry, name: str) -> bytes:
    sha256 = next(file.sha256 for file in entry.files if file.name == name)
    hint = f"run `harness data fetch {entry.name}` to download it again"
    return read_verified(corpus_dir(entry.name) / name, sha256, what=f"corpus {entry.name!r}", hint=hint)


def _files_digest(entry: CatalogueEntry) -> str:
    return digest({file.name: file.sha256 for file in entry.files})
