"""Less of a corpus to train on: what is held out stays whole, so that shares are measured on the same text."""

from __future__ import annotations

from harness.config import digest
from harness.data.content import Content, Corpus
from harness.data.splits import running_share, stable_place


def shared(corpus: Corpus, share: float) -> Corpus:
    """`corpus` with about `share` of its training split, 0 < share < 1; a smaller share is part of a larger
    one.

    Running text keeps its beginning, which is where its documents run on. Pairs may lie in any order, of
    length for one, so theirs is drawn by source: all translations of a source are in the share, or none.
    Reading one that holds nothing raises CorpusError.
    """

    def read(split: str) -> Content:
        content = corpus.read(split)
        if split != "train":
            return content
        if isinstance(content, str):
            return running_share(content, share)
        assert isinstance(content, list)
        return [pair for pair in content if stable_place(pair.source, salt="share") < share]

    return Corpus(
        name=f"{corpus.name} ({share:.3g} of it)",
        kind=corpus.kind,
        digest=digest({"corpus": corpus.digest, "share": share}),
        splits=corpus.splits,
        read=read,
    )
