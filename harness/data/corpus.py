"""The corpus that a study names, or a share of it."""

from __future__ import annotations

from harness.config import digest
from harness.data.catalogue import entry
from harness.data.content import Content, Corpus
from harness.data.download import DownloadProgress
from harness.data.fetch import fetch, is_cached
from harness.data.reference import FilesCorpus, HfCorpus, NamedCorpus, VectorsFile
from harness.data.splits import running_share, stable_fraction


def load_corpus(
    reference: str | NamedCorpus | FilesCorpus | HfCorpus | VectorsFile,
    *,
    progress: DownloadProgress | None = None,
) -> Corpus:
    """The corpus that `reference` names. It is downloaded first if it is not on this machine; `progress` is
    called as in `fetch`.

    Raises CorpusError if the name is unknown, if the corpus is not here and there is no network, if a file is
    missing, damaged, empty, of another format or not UTF-8, if a column is missing, or if a data set cannot
    be loaded.
    """
    if isinstance(reference, FilesCorpus):
        from harness.data.files import files_corpus

        return files_corpus(reference)
    if isinstance(reference, HfCorpus):
        from harness.data.hub import hub_corpus

        return hub_corpus(reference)
    if isinstance(reference, VectorsFile):
        from harness.data.vectors import vectors_corpus

        return vectors_corpus(reference)
    from harness.data.named import named_corpus

    named = NamedCorpus(name=entry(reference).name) if isinstance(reference, str) else reference
    known = entry(named.name)
    if not is_cached(known):
        fetch(known.name, progress=progress)
    corpus = named_corpus(known)
    return corpus if named.share == 1.0 else shared(corpus, named.share)


def shared(corpus: Corpus, share: float) -> Corpus:
    """`corpus` with about `share` of its training split (0 < share < 1) and all of its other splits, so that
    models trained on different shares are evaluated on the same text.

    A smaller share is part of a larger one. A share of running text is its beginning. Pairs may be sorted,
    for example by length, so a share of pairs is a fixed draw of their sources, each with all its
    translations. Reading an empty share raises CorpusError.
    """

    def read(split: str) -> Content:
        content = corpus.read(split)
        if split != "train":
            return content
        if isinstance(content, str):
            return running_share(content, share)
        assert isinstance(content, list)
        return [pair for pair in content if stable_fraction(pair.source, salt="share") < share]

    return Corpus(
        name=f"{corpus.name} ({share:.3g} of it)",
        kind=corpus.kind,
        digest=digest({"corpus": corpus.digest, "share": share}),
        splits=corpus.splits,
        read=read,
    )
