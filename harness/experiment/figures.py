"""The figures of a report as objects of Matplotlib."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.report.inputs import ReportInput


class ReportFigures(Mapping[str, "tuple[Figure, ...]"]):
    """The panels of each figure by its title. A notebook shows them all."""

    def __init__(self, panels: Mapping[str, tuple[Figure, ...]]) -> None:
        self._panels = dict(panels)

    def __getitem__(self, title: str) -> tuple[Figure, ...]:
        return self._panels[title]

    def __iter__(self) -> Iterator[str]:
        return iter(self._panels)

    def __len__(self) -> int:
        return len(self._panels)

    def __repr__(self) -> str:
        titles = ", ".join(f"{title} ({len(panels)})" for title, panels in self.items())
        return f"Figures of the report: {titles or 'none'}"

    def _repr_html_(self) -> str:
        return "\n".join(
            f"<figure><figcaption>{html.escape(title)}</figcaption>{''.join(map(_image, panels))}</figure>"
            for title, panels in self.items()
        )


def report_figures(parts: Iterable[ReportInput]) -> ReportFigures:
    """The figures of a report. Their titles begin with the name of the part, if there are several."""
    from harness.report.sections.curves import curves_view
    from harness.report.sections.figures import figures_view

    panels = {}
    for part in parts:
        curves = curves_view(part)
        views = [*figures_view(part), *(view for _, view in (curves.figures if curves else ()))]
        for view in views:
            name = f"{part.loaded.part}: {view.title}" if part.loaded.part else view.title
            panels[name] = view.drawings()
    return ReportFigures(panels)


def _image(figure: Figure) -> str:
    written = io.BytesIO()
    figure.savefig(written, format="svg", facecolor="white", metadata={"Date": None})
    return f'<img src="data:image/svg+xml;base64,{base64.b64encode(written.getvalue()).decode()}">'
