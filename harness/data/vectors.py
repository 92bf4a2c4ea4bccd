"""Word vectors: reading them from text, and assigning them to a tokenizer's tokens.

W words, V tokens, D values of a vector.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.config import digest
from harness.data.content import Corpus, Vectors
from harness.data.files import file_digest, file_text
from harness.errors import CorpusError, Location

_MOST_DIGITS = 18
"""Digits of a number that Python's and numpy's integers hold; Python refuses to read one of thousands."""

if TYPE_CHECKING:
    from harness.data.reference import VectorsFile
    from harness.data.tokenizer import Tokenizer


def vectors_corpus(config: VectorsFile) -> Corpus:
    """The vectors in a user's file.

    Raises CorpusError if the file cannot be read. Reading the vectors raises CorpusError if a line has none.
    """
    path = Path(config.file)
    sha256 = file_digest(path)

    def read(_split: str) -> Vectors:
        return parse_vectors(file_text(path, sha256), path=str(path))

    return Corpus(
        name=config.file, kind="vectors", digest=digest({"file": sha256}), splits=("train",), read=read
    )


def parse_vectors(text: str, *, path: str) -> Vectors:
    """The vectors of a text in GloVe's format: one word per line, followed by its values. If there is a first
    line "words width", as fastText writes it, the text must agree with it.

    Raises CorpusError, which names the line, if a line has a different number of values or a value that is
    not a finite number.
    """
    rows = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    announced = _announced(rows[0][1])
    if announced is not None:
        rows = rows[1:]
        if len(rows) != announced[0]:
            raise CorpusError(
                f"the first line says {announced[0]} words, but {len(rows)} follow", at=Location(path, 1)
            )
    if not rows:
        raise CorpusError("the file has no word vectors", at=Location(path))
    width = announced[1] if announced is not None else len(rows[0][1].split()) - 1
    words, values = [], []
    for number, line in rows:
        # Split from the right, because words of GloVe's larger sets may contain spaces.
        cells = line.rstrip().rsplit(" ", width)
        if len(cells) != width + 1 or not width:
            raise CorpusError(
                f"the word has {len(cells) - 1} values, but {width} are expected", at=Location(path, number)
            )
        try:
            vector = np.array([float(cell) for cell in cells[1:]], dtype=np.float32)
        except ValueError as error:
            message = f"the line is not a word vector: {str(error)[:60]}"
            raise CorpusError(message, at=Location(path, number)) from error
        if not np.isfinite(vector).all():
            raise CorpusError("a value is not finite", at=Location(path, number))
        words.append(cells[0])
        values.append(vector)  # the memory for all of them is only known to be needed once all were read
    return Vectors(words, np.stack(values))


def _announced(line: str) -> tuple[int, int] | None:
    """The numbers of words and of values that a first line announces, if it does."""
    cells = line.split()
    if len(cells) != 2 or not all(cell.isdecimal() and len(cell) <= _MOST_DIGITS for cell in cells):
        return None
    return int(cells[0]), int(cells[1])


def token_vectors(corpus: Corpus, tokenizer: Tokenizer, *, width: int) -> NDArray[np.float32]:
    """The vector (V, D) of each token that is a word, as written or in lower case. Other tokens get zeros,
    and so do padding, beginning and end.

    Raises CorpusError if the vectors have another width than the model's, or if no token has a vector.
    """
    vectors = corpus.vectors()
    if vectors.values.shape[1] != width:
        raise CorpusError(
            f"the vectors of {corpus.name!r} have {vectors.values.shape[1]} values, "
            f"but model.embedding.width is {width}",
            hint=f"set model.embedding.width to {vectors.values.shape[1]}",
        )
    rows: dict[str, int] = {}
    for row, word in enumerate(vectors.words):
        rows.setdefault(word, row)
    values = np.zeros((tokenizer.vocab_size, width), dtype=np.float32)
    for token in range(tokenizer.vocab_size):
        word = tokenizer.decode([token]).strip()
        known = rows.get(word, rows.get(word.lower())) if word else None
        if known is not None:
            values[token] = vectors.values[known]
    if not values.any():
        raise CorpusError(
            f"{corpus.name!r} has no vector for any of the tokenizer's {tokenizer.vocab_size} tokens",
            hint="use a tokenizer with larger pieces, or vectors of the text's language",
        )
    return values
