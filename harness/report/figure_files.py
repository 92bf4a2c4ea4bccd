"""All figures of a report, as its sections draw them."""

from __future__ import annotations

from collections.abc import Sequence

from harness.metrics import declared
from harness.report.build import sections
from harness.report.inputs import ReportInput
from harness.report.plots.svg import DrawnFigure, collected_drawings
from harness.report.sections.headline import headline_view
from harness.report.sections.tradeoff import tradeoff_views


def drawings_of(parts: Sequence[ReportInput]) -> list[DrawnFigure]:
    """The drawings of all parts of a study, in the order of the page."""
    records = {name: record for part in parts for name, record in part.loaded.study.records.items()}
    with declared(records), collected_drawings() as drawings:
        headline_view(parts)
        tradeoff_views(parts)
        for part in parts:
            for section in sections():
                section.view(part)
    return list({drawing.name: drawing for drawing in drawings}.values())
