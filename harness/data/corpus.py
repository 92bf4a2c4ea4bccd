"""From the way a study names a corpus to its text."""

from __future__ import annotations

from harness.data.catalogue import entry
from harness.data.content import Corpus
from harness.data.download import Progress
from harness.data.fetch import fetch, is_cached
from harness.data.reference import FilesCorpus, HfCorpus, NamedCorpus, VectorsFile


def load_corpus(
    reference: str | NamedCorpus | FilesCorpus | HfCorpus | VectorsFile, *, progress: Progress | None = None
) -> Corpus:
    """The corpus that `reference` names, fetched first where it is not here yet; `progress` as for `fetch`.

    CorpusError: unknown name; not here and no network; a file that is missing, damaged, empty, of another
    format or not UTF-8; a column that is not there; a data set that cannot be loaded.
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
    from harness.data.share import shared

    named = NamedCorpus(name=entry(reference).name) if isinstance(reference, str) else reference
    known = entry(named.name)
    if not is_cached(known):
        fetch(known.name, progress=progress)
    corpus = named_corpus(known)
    return corpus if named.share == 1.0 else shared(corpus, named.share)
