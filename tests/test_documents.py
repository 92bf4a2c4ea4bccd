"""The documents that the code and other documents cite exist, with the sections that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CITATION = re.compile(r'docs/([a-z_]+\.md)(?:[,\s]+"([^"]+)")?')
LINK = re.compile(r"\]\((?!https?:)([^)#]+\.md)\)")


def citations() -> Iterator[tuple[str, str, str]]:
    """(file, document, section) for every citation in the code; the section may be empty."""
    for folder in ("harness", "models", "studies"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".yaml", ".j2") and "harness/models" not in str(path):
                for document, section in CITATION.findall(path.read_text(encoding="utf-8")):
                    yield str(path.relative_to(ROOT)), document, " ".join(section.split())


@pytest.mark.parametrize(("file", "document", "section"), sorted(set(citations())))
def test_a_cited_document_and_its_section_exist(file: str, document: str, section: str) -> None:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    assert not section or any(heading.startswith(section) for heading in headings), file


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name
)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target
