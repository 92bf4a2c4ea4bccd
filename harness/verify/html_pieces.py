"""An HTML page as a list of pieces, each with a description of its position."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Literal

PieceKind = Literal["text", "markup", "style"]
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
)
_COMPRESSED = "data:application/gzip;base64,"
_GZIP = 31
"""The window bits with which zlib reads the format of gzip."""
_MOST_BYTES = 20_000_000
_READ_AT_ONCE = 65_536
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Piece:
    """One text, one start tag with its attributes, or one style sheet or script. White space is normalised
    as in HTML.

    `where` describes the position: heading, row, column.
    """

    kind: PieceKind
    content: str
    where: str

    @property
    def numbers(self) -> int:
        return len(_NUMBER.findall(self.content)) if self.kind == "text" else 0


def pieces(page: str) -> list[Piece]:
    """All pieces of a page, in order."""
    parser = _Parser()
    parser.feed(page)
    parser.close()
    return parser.pieces


def count_numbers(page: str) -> int:
    """The number of numbers in the text of a page. The pieces of a long page are never all in memory."""
    parser, numbers, begin = _Parser(), 0, 0
    while begin < len(page):
        end = page.find("<", begin + _READ_AT_ONCE)  # a text is never cut
        end = len(page) if end < 0 else end
        parser.feed(page[begin:end])
        numbers += sum(piece.numbers for piece in parser.pieces)
        parser.pieces.clear()
        begin = end
    parser.close()
    return numbers + sum(piece.numbers for piece in parser.pieces)


@dataclass(slots=True)
class _Table:
    columns: list[str] = field(default_factory=list)
    row: str = ""
    column: int = -1
    in_head: bool = False

    def enter(self, tag: str) -> None:
        if tag == "thead":
            self.in_head = True
        elif tag == "tr":
            self.row, self.column = "", -1
        elif tag in ("th", "td"):
            self.column += 1
            if self.in_head:
                self.columns.append("")


def _plain(value: str) -> str:
    """The value of an attribute. What is compressed in it is compared as text, because other versions of the
    library compress the same text into other bytes.
    """
    if not value.startswith(_COMPRESSED):
        return value
    try:
        packed = base64.b64decode(value.removeprefix(_COMPRESSED), validate=True)
        unpacking = zlib.decompressobj(wbits=_GZIP)
        text = unpacking.decompress(packed, _MOST_BYTES).decode()
    except (binascii.Error, zlib.error, UnicodeDecodeError):
        return value
    return text if unpacking.eof and not unpacking.unused_data else value


class _Parser(HTMLParser):
    """Collects the pieces, and keeps track of the current heading, table, row and column."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[Piece] = []
        self._open: list[str] = []
        self._heading = ""
        self._part = ""
        self._drawing = ""
        self._term = ""
        self._table: _Table | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "table":
            self._table = _Table()
        elif tag in ("h1", "h2"):
            self._heading = self._part = ""
        elif tag in ("article", "figure", "section"):
            self._part = self._term = ""
        elif tag == "svg":
            self._drawing = "a figure"
        elif self._table is not None:
            self._table.enter(tag)
        written = " ".join(f'{name}="{" ".join(_plain(value or "").split())}"' for name, value in attrs)
        self.pieces.append(Piece("markup", f"<{tag} {written}>" if written else f"<{tag}>", self._where()))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                continue
        if tag == "table":
            self._table = None
        elif tag == "thead" and self._table is not None:
            self._table.in_head = False
        elif tag == "svg":
            self._drawing = ""
        elif tag in ("article", "figure"):
            self._part = self._term = ""

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if not text:
            return
        self._note_position(text)
        kind: PieceKind = "style" if {"style", "script"} & set(self._open) else "text"
        self.pieces.append(Piece(kind, text, self._where()))

    def handle_comment(self, data: str) -> None:
        self.pieces.append(Piece("markup", f"<!--{data}-->", self._where()))

    def handle_decl(self, decl: str) -> None:
        self.pieces.append(Piece("markup", f"<!{decl}>", self._where()))

    def _note_position(self, text: str) -> None:
        inside = set(self._open)
        if "h1" in inside or "h2" in inside:
            self._heading = f"{self._heading} {text}".strip()
        elif {"h3", "caption", "summary"} & inside:
            self._part = (
                text if self._open[-1] in ("h3", "caption", "summary") or not self._part else self._part
            )
        elif "dt" in inside:
            self._term = text
        elif "svg" in inside and self._open[-1] == "title":
            self._drawing = f"the figure {text!r}"
        elif self._table is not None and self._table.in_head and self._table.columns:
            self._table.columns[-1] = f"{self._table.columns[-1]} {text}".strip()
        elif self._table is not None and not self._table.row:
            self._table.row = text

    def _where(self) -> str:
        parts = [self._heading or "the head of the page", self._part, self._drawing]
        if "dd" in self._open:
            parts.append(self._term)
        table = self._table
        if table is not None and not table.in_head and table.column >= 0:
            parts.append(f"row {table.row}" if table.row else "")
            parts.append(f"column {table.columns[table.column]}" if table.column < len(table.columns) else "")
        return ", ".join(part for part in parts if part)
