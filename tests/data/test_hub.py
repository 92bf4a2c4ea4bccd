from __future__ import annotations

import gzip
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.data.content import Pair
from harness.data.corpus import load_corpus
from harness.data.reference import HfCorpus
from harness.errors import CorpusError

pytest.importorskip("datasets", reason="the extra `data`")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of two Parquet files, one a split."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "hf"))
    path = tmp_path / "set"
    path.mkdir()
    save(path / "train.parquet", ["a  b\n", "c", "d"])
    save(path / "test.parquet", ["e"])
    return path


def save(path: Path, texts: list[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: dict[str, Any] = {
        "text": texts,
        "translation": [{"en": text.strip(), "es": text.upper()} for text in texts],
        "n": [1] * len(texts),
    }
    pq.write_table(pa.table(rows), path)


def config(folder: Path, **settings: Any) -> HfCorpus:
    return HfCorpus(**{"dataset": str(folder), "valid": None, "column": "text", **settings})


def test_text_by_column_and_split(folder: Path) -> None:
    corpus = load_corpus(config(folder))
    assert corpus.splits == ("train", "test")
    assert corpus.text("train") == "a  b\nc\nd\n"
    assert corpus.text("test") == "e\n"


def test_pairs_in_a_nested_column(folder: Path) -> None:
    corpus = load_corpus(
        config(folder, column=None, source="translation.en", target="translation.es", rows=1)
    )
    assert corpus.pairs("train") == [Pair("a  b", "A  B ")]


def test_streamed_once_and_again_when_it_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_corpus(config(folder))
    with monkeypatch.context() as patch:
        patch.setattr("datasets.load_dataset", None)
        assert load_corpus(config(folder)).text("train") == first.text("train")
    save(folder / "test.parquet", ["another"])
    changed = load_corpus(config(folder))
    assert changed.text("test") == "another\n"
    assert changed.digest != first.digest


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"column": "txt"}, "has no column 'txt'; did you mean 'text'"),
        ({"column": "n"}, "column 'n' has values of type int, but text is needed"),
        ({"column": "translation.fr"}, r"has no column 'translation\.fr'"),
        ({"valid": "validation"}, "split 'validation': Bad split: validation"),
        ({"config": "english"}, "'english' not found"),
    ],
)
def test_what_is_not_there(folder: Path, cache: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(CorpusError, match=message) as caught:
        load_corpus(config(folder, **settings))
    assert "\n" not in str(caught.value)


def test_a_damaged_copy_in_the_cache_is_said_if_it_cannot_be_made_again(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_corpus(config(folder)).text("test")
    (path,) = (cache / "hf").glob("*/test")
    path.write_bytes(path.read_bytes()[:-1])
    with monkeypatch.context() as patch:
        patch.setattr("datasets.load_dataset", unreachable)
        with pytest.raises(CorpusError, match="no network; the copy in the cache is damaged: ") as caught:
            load_corpus(config(folder))
        assert str(path) in str(caught.value)
    assert load_corpus(config(folder)).text("test") == first


def unreachable(*_arguments: object, **_settings: object) -> None:
    raise ConnectionError("no network")


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"data set '.*none', split 'train': Couldn't find any data file"):
        load_corpus(config(tmp_path / "none"))


class Marking:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize(
    "name",
    ["hostile.py", "train.pkl", "README.md", "train.jsonl.gz", "train.zip", "train.tar", "train.parquet"],
)
def test_files_that_are_hostile_or_damaged_end_in_one_line_and_nothing_runs(
    tmp_path: Path, name: str
) -> None:
    folder, marker = tmp_path / "hostile", tmp_path / "marker"
    folder.mkdir()
    contents = {
        "hostile.py": f"open({str(marker)!r}, 'w')".encode(),
        "train.pkl": pickle.dumps(Marking(marker)),
        "README.md": f"---\nconfigs: !!python/object/apply:os.mkdir [{marker}]\n---\n".encode(),
        "train.jsonl.gz": gzip.compress(b'{"text": "a"}\n' * 100)[:-5],
    }
    (folder / name).write_bytes(contents.get(name, b"PK PAR1 garbage"))
    if name in ("hostile.py", "README.md"):
        (folder / "train.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(CorpusError, match=r"data set '.*hostile', split 'train': ") as caught:
        load_corpus(config(folder, test=None))
    assert "\n" not in str(caught.value)
    assert not marker.exists()


def test_a_name_that_nothing_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(CorpusError, match="data set 'xxx"):
        load_corpus(config(Path("x" * 5000)))


def test_without_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        CorpusError,
        match=r"needs the package `datasets`; install it with: pip install 'transformer-harness\[data\]'",
    ):
        load_corpus(config(folder))
