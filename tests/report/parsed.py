"""A rendered report as tests look at it: tags with their attributes and text, in document order."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from harness.report.script import script

_VOID = {"meta", "link", "br", "hr", "img", "input"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    ancestors: tuple[Element, ...]
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(self.parts).split())


class Page(HTMLParser):
    """Raises AssertionError for tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self._open, f"left open: {[element.tag for element in self._open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {key: value or "" for key, value in attrs}, tuple(self._open))
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {key: value or "" for key, value in attrs}, tuple(self._open)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()
        if tag not in ("a", "b", "code", "span", "strong"):  # a reader sees cells and paragraphs apart
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.parts.append(data)

    def all(self, tag: str, *, within: str = "") -> list[Element]:
        """All elements with this tag, or only those inside the element with the id `within`."""
        elements = [element for element in self.elements if element.tag == tag]
        if not within:
            return elements
        return [
            e for e in elements if any(ancestor.attributes.get("id") == within for ancestor in e.ancestors)
        ]

    def by_class(self, name: str) -> list[Element]:
        return [element for element in self.elements if name in element.attributes.get("class", "").split()]

    def by_id(self, name: str) -> Element:
        (element,) = [element for element in self.elements if element.attributes.get("id") == name]
        return element

    @property
    def other_scripts(self) -> list[Element]:
        """Scripts that are not the one of the harness."""
        return [element for element in self.all("script") if "".join(element.parts) != script()]

    @property
    def ids(self) -> list[str]:
        return [element.attributes["id"] for element in self.elements if "id" in element.attributes]
