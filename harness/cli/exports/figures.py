"""The figures of a report as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.report.figure_files import drawings_of
from harness.report.plots.files import pdf_page, svg_file

if TYPE_CHECKING:
    from harness.report.inputs import ReportInput


def write_figures(parts: Sequence[ReportInput], form: str, folder: Path) -> list[Path]:
    """Write every figure of the report as SVG or PDF into a folder, and return the files. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for drawing in drawings_of(parts):
        path = folder / f"{drawing.name}.{form}"
        path.write_bytes(svg_file(drawing) if form == "svg" else pdf_page(drawing))
        written.append(path)
    return written
