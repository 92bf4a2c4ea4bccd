from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from harness.config import Config
from harness.data.corpus import load_corpus
from harness.data.reference import CorpusRef, FilesCorpus, HfCorpus, NamedCorpus
from harness.errors import CorpusError


class Holder(Config):
    corpus: CorpusRef


def test_a_plain_name_becomes_a_named_corpus_and_survives_the_round_trip() -> None:
    holder = Holder.read({"corpus": "wikitext-2"})
    assert holder.corpus == NamedCorpus(name="wikitext-2")
    assert holder.plain() == {"corpus": {"kind": "named", "name": "wikitext-2"}}
    assert Holder.read(holder.plain()) == holder


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"kind": "named", "name": "wikitext-2", "share": 0.1}, NamedCorpus(name="wikitext-2", share=0.1)),
        ({"kind": "files", "files": ["a.txt"]}, FilesCorpus(files=("a.txt",))),
        (
            {"kind": "files", "train": ["a.tsv"], "test": ["b.tsv"], "source": 1, "target": 2},
            FilesCorpus(train=("a.tsv",), test=("b.tsv",), source=1, target=2),
        ),
        (
            {"kind": "hf", "dataset": "user/set", "column": "text"},
            HfCorpus(dataset="user/set", column="text"),
        ),
    ],
)
def test_forms(document: dict[str, Any], expected: Any) -> None:
    holder = Holder.read({"corpus": document})
    assert holder.corpus == expected
    assert Holder.read(holder.plain()) == holder


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("wikitext2", "unknown corpus 'wikitext2'; did you mean 'wikitext-2'?"),
        ({"kind": "named", "name": "tatoeba"}, "did you mean 'tatoeba-en-es'?"),
        (7, "a corpus is a name or a mapping"),
        ({"kind": "named", "name": "wikitext-2", "share": 0}, "greater than 0"),
        ({"kind": "named", "name": "wikitext-2", "share": 1.5}, "less than or equal to 1"),
        ({"kind": "named", "name": "glove-6b-50d", "share": 0.5}, "share is for text to train on"),
        ({"kind": "web"}, "a corpus is a name or a mapping"),
        ({"kind": "files"}, "give either files .* or train"),
        ({"kind": "files", "files": ["a.txt"], "train": ["b.txt"]}, "give either files .* or train"),
        ({"kind": "files", "files": ["a.txt"], "test": ["b.txt"]}, "with files, use fractions"),
        ({"kind": "files", "train": ["a.txt"], "fractions": {"test": 0.2}}, "fractions need files"),
        ({"kind": "files", "files": ["a.txt"], "fractions": {"test": 0.4, "valid": 0.3}}, "more than a half"),
        ({"kind": "files", "files": ["a.tsv"], "source": "en"}, "give both source and target"),
        ({"kind": "files", "files": ["a.tsv"], "column": 0}, "greater than or equal to 1"),
        ({"kind": "files", "files": ["a.txt"], "colum": "x"}, "Extra inputs"),
        ({"kind": "hf", "dataset": "x"}, "give the column of the text"),
        ({"kind": "hf", "dataset": "x", "column": 1}, "by their names"),
    ],
)
def test_refused(document: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Holder.read({"corpus": document})


def test_a_misspelt_name_is_told_in_one_line() -> None:
    with pytest.raises(ValidationError) as caught:
        Holder.read({"corpus": "wikitext2"})
    (error,) = caught.value.errors()
    assert error["msg"] == "Value error, unknown corpus 'wikitext2'; did you mean 'wikitext-2'?"


def test_the_schema_offers_the_names() -> None:
    schema = json.dumps(TypeAdapter(CorpusRef).json_schema())
    assert '"enum": ["glove-6b-50d", "python-docs", "tatoeba-en-es", "wikitext-2"]' in schema


def test_naming_a_corpus_imports_nothing_heavy() -> None:
    code = (
        "import sys, harness.data.reference, harness.data.tokenizer, harness.data.fetch, harness.data.corpus;"
        "heavy = {'torch', 'numpy', 'pandas', 'datasets', 'sentencepiece'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_unknown_name_by_hand() -> None:
    with pytest.raises(CorpusError, match="did you mean 'python-docs'"):
        load_corpus("pythondocs")
