"""Word vectors: what a file of them may hold, and which tokens get one."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.data.build_tokenizer import ByteTokenizer
from harness.data.content import Corpus
from harness.data.corpus import load_corpus
from harness.data.reference import VectorsFile
from harness.data.vectors import token_vectors
from harness.errors import CorpusError

GLOVE = "the 0.5 -1 2\na 1 2 3\nB 7 8 9\n"
Load = Callable[..., Corpus]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def write(content: str | bytes, name: str = "some.vec") -> Corpus:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return load_corpus(VectorsFile(file=str(path)))

    return write


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (GLOVE, "glove.txt"),
        ("3 3\n" + GLOVE.replace("\n", " \n"), "fasttext.vec"),
        (gzip.compress(GLOVE.encode(), mtime=0), "glove.txt.gz"),
    ],
)
def test_words_and_values_of_either_format(load: Load, content: str | bytes, name: str) -> None:
    vectors = load(content, name).vectors()
    assert vectors.words == ["the", "a", "B"]
    assert vectors.values.dtype == np.float32
    assert vectors.values.tolist() == [[0.5, -1, 2], [1, 2, 3], [7, 8, 9]]


def test_a_word_may_hold_spaces_where_the_width_is_known(load: Load) -> None:
    assert load("a 1 2\n. . . 3 4\n").vectors().words == ["a", ". . ."]


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("a 1 2\nb 3\n", 2, "the word has 1 values, but 2 are expected"),
        ("2 2\na 1 2\n", 1, "the first line says 2 words, but 1 follow"),
        ("a 1 2\nb 3 x\n", 2, "could not convert"),
        ("a 1 2\nb 3 nan\n", 2, "not finite"),
        ("a\nb\n", 1, "0 values"),
        ("\n", None, "empty"),
        ("1 " + "9" * 4400 + "\na 1\n", 1, "not finite"),  # a word called 1
        ("1 999999999999999999\na 1\n", 2, "the word has 1 values, but 999999999999999999 are expected"),
        ("a" + " 1" * 50_000 + "\n" + "b 1\n" * 50_000, 2, "the word has 1 values, but 50000 are expected"),
        ("a 1\nb " + "x" * 100_000 + "\n", 2, "the line is not a word vector: could not convert"),
        ("0 3\n", None, "the file has no word vectors"),
    ],
)
def test_what_is_no_vector_is_refused_with_its_line(
    load: Load, content: str, line: int | None, said: str
) -> None:
    with pytest.raises(CorpusError, match=said) as refused:
        load(content).vectors()
    assert refused.value.at is not None
    assert refused.value.at.line == line


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(CorpusError, match="the file cannot be read"):
        load_corpus(VectorsFile(file="nowhere.vec"))


def test_they_are_no_text(load: Load) -> None:
    with pytest.raises(CorpusError, match="is of kind vectors, but kind text is needed"):
        load(GLOVE).text("train")


def test_the_digest_is_the_content_s(load: Load) -> None:
    first = load(GLOVE)
    assert load(GLOVE, "copy.vec").digest == first.digest
    assert load(GLOVE + "c 1 1 1\n").digest != first.digest


def test_tokens_that_are_words_get_their_vectors_and_others_zeros(load: Load) -> None:
    table = token_vectors(load(GLOVE), ByteTokenizer(), width=3)
    by_letter = {letter: table[ByteTokenizer().encode(letter)[0]].tolist() for letter in "aAbB"}
    assert by_letter == {"a": [1, 2, 3], "A": [1, 2, 3], "b": [0, 0, 0], "B": [7, 8, 9]}
    assert np.count_nonzero(table.any(axis=1)) == 3
    assert table.shape == (ByteTokenizer.vocab_size, 3)


def test_another_width_is_refused(load: Load) -> None:
    with pytest.raises(CorpusError, match=r"have 3 values, but model\.embedding\.width is 5") as refused:
        token_vectors(load(GLOVE), ByteTokenizer(), width=5)
    assert refused.value.hint == "set model.embedding.width to 3"


def test_vectors_for_none_of_the_tokens_are_refused(load: Load) -> None:
    with pytest.raises(CorpusError, match="no vector for any of the tokenizer's 259 tokens"):
        token_vectors(load("the 1 2\n"), ByteTokenizer(), width=2)
