"""Figures as files of their own, with real colours. Equal figures give equal bytes."""

from __future__ import annotations

import io
import re
import warnings

import matplotlib as mpl
from matplotlib.backends.backend_pdf import FigureCanvasPdf

from harness.report.plots.style import PAPER
from harness.report.plots.svg import THEME, DrawnFigure

_NAMESPACE = "http://www.w3.org/2000/svg"
_FONT = "DejaVu Sans, Verdana, sans-serif"


def svg_file(drawing: DrawnFigure) -> bytes:
    """The figure as a file that needs no page around it."""
    text = str(drawing.svg)
    for colour, variable in THEME.items():
        text = text.replace(variable, colour)
    opened = re.match(r"<svg\b[^>]*>", text)
    assert opened is not None
    head = opened[0].replace("<svg", f'<svg xmlns="{_NAMESPACE}" font-family="{_FONT}"', 1)
    background = f'<rect width="100%" height="100%" fill="{PAPER}"/>'
    return f"{head}{background}{text[opened.end() :]}\n".encode()


def pdf_page(drawing: DrawnFigure) -> bytes:
    """The figure as one page, with text as text."""
    buffer = io.BytesIO()
    metadata = {**dict.fromkeys(("CreationDate", "Creator", "Producer")), "Title": drawing.title}
    with mpl.rc_context({"pdf.fonttype": 42, "text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        canvas = FigureCanvasPdf(drawing.figure)
        canvas.print_pdf(buffer, metadata=metadata)  # type: ignore[no-untyped-call]
    return buffer.getvalue()
