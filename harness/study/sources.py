"""The documents whose claims the studies in `studies/` test. `docs/sources.md` describes them."""

from __future__ import annotations

SHORT_TITLES = {
    "000": "Translation project",
    "001": "Language model report",
    "002": "Online course",
    "003": "TinyGPT",
    "004": "Lecture notes",
}
"""The short title of each source by its id. A test compares them with `docs/sources.md`."""


def source_title(source: str) -> str | None:
    """The short title of a source, given its id with or without a section: `001 §5`. None for a source that
    is not listed.
    """
    return SHORT_TITLES.get(source.partition(" ")[0])


def citation(source: str) -> str:
    """What a claim gives as its source, with titles: `001 §5, 004` becomes `Language model report, 001 §5;
    Lecture notes, 004`.

    A source that is not listed stays as the study writes it.
    """
    documents = [document.strip() for document in source.split(",")]
    titles = [source_title(document) for document in documents]
    if not any(titles):
        return source
    return "; ".join(
        f"{title}, {document}" if title else document
        for title, document in zip(titles, documents, strict=True)
    )
