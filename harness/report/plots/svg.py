"""A figure as compact SVG inside HTML. Text stays text, equal input gives equal bytes, and ids are unique."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from harness.masking import masked
from harness.report.plots.style import INK, MUTED, PAPER, RULE
from harness.visible import visible

PIXELS = 110
"""Of an inch of a figure on the page."""

THEME = {INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)", PAPER: "var(--paper)"}
_COORDINATES = frozenset(
    {"d", "x", "y", "x1", "x2", "y1", "y2", "width", "height", "transform", "viewBox", "points"}
)
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_STRAIGHT = re.compile(r"[MLz\d. -]+")
"""A path of straight lines."""
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # dates and versions would change the bytes


_TIP = "tip:"


def set_tip(artist: Artist, text: str) -> None:
    """Let a part of a drawing show this text when a pointer is on it."""
    artist.set_gid(_TIP + masked(text))


@dataclass(frozen=True, kw_only=True)
class DrawnFigure:
    """A figure that was drawn, and its SVG as it stands in a page."""

    name: str
    title: str
    figure: Figure
    svg: Markup


_DRAWINGS: ContextVar[list[DrawnFigure] | None] = ContextVar("drawings", default=None)


@contextmanager
def collected_drawings() -> Iterator[list[DrawnFigure]]:
    """Collects what is drawn inside of this context, for those who want files instead of a page."""
    drawings: list[DrawnFigure] = []
    token = _DRAWINGS.set(drawings)
    try:
        yield drawings
    finally:
        _DRAWINGS.reset(token)


def inline_svg(figure: Figure, *, name: str, title: str, description: str) -> Markup:
    """The figure as an `<svg>` element whose ids all start with `name`. The title and the description are for
    screen readers and tooltips. Parts with a tip (`set_tip`) have a title of their own.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the reader's fonts draw it
        # Figure.savefig draws everything twice; this draws once.
        FigureCanvasSVG(figure).print_svg(buffer, metadata=_METADATA)  # type: ignore[no-untyped-call]
    root = ElementTree.fromstring(visible(buffer.getvalue(), keep="\n\t"))
    _strip(root)
    _add_tips(root)
    _rename(root, prefix=name)
    for size in ("height", "version"):  # the viewBox keeps the shape
        root.attrib.pop(size, None)
    root.set("width", f"{figure.get_figwidth() * PIXELS:.0f}")  # so text has the same size in all figures
    root.attrib.update({"role": "img", "aria-labelledby": f"{name}-title {name}-description"})
    for index, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(tag, {"id": f"{name}-{'title' if tag == 'title' else 'description'}"})
        element.text = visible(text)
        root.insert(index, element)
    svg = Markup(ElementTree.tostring(root, encoding="unicode"))
    if (drawings := _DRAWINGS.get()) is not None:
        drawings.append(DrawnFigure(name=name, title=title, figure=figure, svg=svg))
    return svg


def _add_tips(root: ElementTree.Element) -> None:
    for element in root.iter():
        if (text := element.get("id", "")).startswith(_TIP):
            title = ElementTree.Element("title")
            title.text = text.removeprefix(_TIP)
            element.insert(0, title)


def _strip(root: ElementTree.Element) -> None:
    """Remove namespaces (HTML knows SVG), the style sheet (it would apply to the entire page), and
    unnecessary digits and white space.
    """
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        if element.tag != "text":
            element.text = None
        element.tail = None
        for key in list(element.attrib):
            value = element.attrib.pop(key)
            key = key.rpartition("}")[2]
            if key in _COORDINATES:
                value = " ".join(value.split())
                straight = key == "d" and _STRAIGHT.fullmatch(value)
                value = _straight(value) if straight else _LONG_NUMBER.sub(_shorter, value)
            elif key == "style":
                value = _themed(value)
            element.attrib[key] = value
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in ("style", "metadata")]:
            parent.remove(child)


def _shorter(match: re.Match[str]) -> str:
    return f"{float(match.group()):.2f}".rstrip("0").rstrip(".")


def _straight(path: str) -> str:
    """The same lines with one digit after the point, which is a seventh of a pixel, and without the letters
    that SVG can do without: numbers after the first point of a path are further points.
    """
    shorter = _LONG_NUMBER.sub(lambda match: f"{float(match.group()):.1f}".removesuffix(".0"), path)
    return re.sub(r"(?<=\d) L(?= )", "", shorter)


def _themed(style: str) -> str:
    parts = [part.strip() for part in style.split(";")]
    declarations = [part for part in parts if part and not part.startswith("font-family")]
    text = ";".join(part.replace(": ", ":", 1) for part in declarations)
    for colour, variable in THEME.items():
        text = text.replace(colour, variable)
    return text


def _rename(root: ElementTree.Element, *, prefix: str) -> None:
    """Add the prefix to every id that is referred to, and remove all other ids."""
    used = {value[1:] for element in root.iter() if (value := element.get("href", "")).startswith("#")}
    for element in root.iter():
        for value in element.attrib.values():
            used.update(_REFERENCE.findall(value))
    for element in root.iter():
        if (name := element.attrib.pop("id", None)) in used:
            element.set("id", f"{prefix}-{name}")
        for key, value in element.attrib.items():
            if key == "href" and value.startswith("#"):
                element.set(key, f"#{prefix}-{value[1:]}")
            else:
                element.set(key, _REFERENCE.sub(rf"url(#{prefix}-\1)", value))
