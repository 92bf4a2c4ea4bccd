"""Word vectors: reading them from text, and giving them to a tokenizer's tokens.

W words, V tokens, D values of a vector.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.config import digest
from harness.data.content import Corpus, Vectors
from harness.data.files import file_digest, file_text
from harness.errors import CorpusError, Location

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.data.reference import VectorsFile
    from harness.data.tokenizer import Tokenizer


def vectors_corpus(config: VectorsFile) -> Corpus:
    """The vectors in a file of one's own.

    CorpusError: it cannot be read, and when they are asked for, a line that is no vector.
    """
    path = Path(config.file)
    sha256 = file_digest(path)

    def read(_split: str) -> Vectors:
        return parse_vectors(file_text(path, sha256), path=str(path))

    return Corpus(
        name=config.file, kind="vectors", digest=digest({"file": sha256}), splits=("train",), read=read
    )


def parse_vectors(text: str, *, path: str) -> Vectors:
    """One word a line and its values after it, as GloVe writes them; fastText's first line, "words width", is
    checked.

    CorpusError names the line whose width differs from those before it, or where a value is no finite number.
    """
    import numpy as np

    rows = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    head = rows[0][1].split()
    announced = [int(cell) for cell in head] if len(head) == 2 and all(c.isdecimal() for c in head) else None
    if announced is not None:
        rows = rows[1:]
        if len(rows) != announced[0]:
            raise CorpusError(
                f"the first line announces {announced[0]} words, and {len(rows)} follow", at=Location(path, 1)
            )
    if not rows:
        raise CorpusError("no word vectors", at=Location(path))
    width = announced[1] if announced is not None else len(rows[0][1].split()) - 1
    words, values = [], np.empty((len(rows), width), dtype=np.float32)
    for place, (number, line) in enumerate(rows):
        # Counted from the right: a word of GloVe's larger sets may hold spaces.
        cells = line.rstrip().rsplit(" ", width)
        if len(cells) != width + 1 or not width:
            found = len(cells) - 1
            raise CorpusError(
                f"{found} values after the word, and {width} were expected", at=Location(path, number)
            )
        try:
            values[place] = [float(cell) for cell in cells[1:]]
        except ValueError as error:
            raise CorpusError(f"no word vector: {error}", at=Location(path, number)) from error
        if not np.isfinite(values[place]).all():
            raise CorpusError("a value is not finite", at=Location(path, number))
        words.append(cells[0])
    return Vectors(words, values)


def token_vectors(corpus: Corpus, tokenizer: Tokenizer, *, width: int) -> NDArray[np.float32]:
    """The vector (V, D) of each token that is a word as it stands or in lower case.

    Others get zeros, as do padding, beginning and end. CorpusError: vectors of another width than the
    model's, or none for any token.
    """
    import numpy as np

    vectors = corpus.vectors()
    if vectors.values.shape[1] != width:
        raise CorpusError(
            f"the vectors of {corpus.name!r} have {vectors.values.shape[1]} values, and model.embedding.width is {width}",
            hint=f"set model.embedding.width to {vectors.values.shape[1]}",
        )
    places: dict[str, int] = {}
    for place, word in enumerate(vectors.words):
        places.setdefault(word, place)
    found = np.zeros((tokenizer.vocab_size, width), dtype=np.float32)
    for token in range(tokenizer.vocab_size):
        word = tokenizer.decode([token]).strip()
        at = places.get(word, places.get(word.lower())) if word else None
        if at is not None:
            found[token] = vectors.values[at]
    if not found.any():
        raise CorpusError(
            f"{corpus.name!r} has a vector for none of the tokenizer's {tokenizer.vocab_size} tokens",
            hint="use a tokenizer of larger pieces, or vectors of the text's own language",
        )
    return found
