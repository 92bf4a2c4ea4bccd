"""Every document, section and link that code or documents cite exists; docs/studies.md explains every key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.tasks.registry import TASKS

ROOT = Path(__file__).parents[2]
CITING = {".py", ".md", ".j2", ".yaml", ".yml", ".toml"}
CITED = re.compile(r"(?<![\w/.*{}-])(?:[\w.-]+/)*[\w.-]+\.md\b")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
WEB = re.compile(r"https?://\S+")
SECTION = re.compile(r'docs/([a-z_]+\.md)[,\s]+"([^"]+)"')
CODE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def documents() -> list[Path]:
    folders = ("docs", "reports", "results", "studies", "tests")
    return [*ROOT.glob("*.md"), *(path for folder in folders for path in (ROOT / folder).rglob("*.md"))]


def sources() -> list[Path]:
    """Everything that may cite a document. Tests in Python are left out: they make up names."""
    folders = ("harness", "models", "studies", "docs")
    files = [*ROOT.glob("*"), *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    return [path for path in files if path.suffix in CITING and path.is_file()]


def missing_citations(path: Path) -> Iterator[str]:
    """A document is cited by its path from the root, from `docs` or from where it is cited."""
    for match in CITED.finditer(WEB.sub("", path.read_text())):
        if not any((folder / match[0]).is_file() for folder in (ROOT, ROOT / "docs", path.parent)):
            yield match[0]


def anchors(document: Path) -> set[str]:
    """The names by which GitHub links to the headings of a document."""
    headings = re.findall(r"^#{1,6}\s+(.*?)\s*#*$", CODE.sub("", document.read_text()), re.MULTILINE)
    seen: dict[str, int] = {}
    names = set()
    for heading in headings:
        text = LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading)
        name = re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")
        count = seen[name] = seen.get(name, -1) + 1
        names.add(f"{name}-{count}" if count else name)
    return names


def broken_links(document: Path) -> Iterator[str]:
    for target in LINK.findall(CODE.sub("", document.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, heading = target.partition("#")
        path = document.parent / name if name else document
        if not path.exists() or (heading and path.suffix == ".md" and heading not in anchors(path)):
            yield target


def test_every_cited_document_exists() -> None:
    missing = {str(path.relative_to(ROOT)): list(missing_citations(path)) for path in sources()}
    assert {path: names for path, names in missing.items() if names} == {}


def test_every_cited_section_exists() -> None:
    cited = {
        (path.relative_to(ROOT).as_posix(), document, " ".join(section.split()))
        for path in sources()
        for document, section in SECTION.findall(path.read_text())
    }
    assert cited
    missing = [
        citation
        for citation in sorted(cited)
        if not re.search(
            rf"^#+ {re.escape(citation[2])}", (ROOT / "docs" / citation[1]).read_text(), re.MULTILINE
        )
    ]
    assert missing == []


def test_every_key_of_a_study_is_explained() -> None:
    schema = json.loads((ROOT / "studies/study.schema.json").read_text())
    keys = {*schema["properties"], *(key for task in TASKS.values() for key in task.model_fields)}
    keys |= {key for part in schema["$defs"].values() for key in part.get("properties", {})}
    text = "".join(
        (ROOT / "docs" / name).read_text()
        for name in ("studies.md", "search.md", "programs.md", "reference.md")
    )
    assert [
        key for key in sorted(keys) if not re.search(rf"`[^`]*\b{key}\b|^ +{key}:", text, re.MULTILINE)
    ] == []


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    assert list(broken_links(document)) == []


def test_a_document_that_is_missing_is_found(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("# A `first` heading\n\n[here](#a-first-heading) [there](#second) see nowhere.md\n")
    assert list(missing_citations(document)) == ["nowhere.md"]
    assert list(broken_links(document)) == ["#second"]


def test_the_site_has_every_document() -> None:
    """`make docs` refuses links that lead nowhere; a page that nobody links is refused here."""
    listed = re.findall(r"(\w+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))
