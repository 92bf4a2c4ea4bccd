"""Quality against cost, for the page as a whole: the two are measured in different parts of a study."""

from __future__ import annotations

from collections.abc import Sequence

from harness.metrics import metric
from harness.report.inputs import ReportInput
from harness.report.plots.svg import inline_svg
from harness.report.plots.tradeoff import Tradeoff, draw_tradeoff, tradeoffs
from harness.report.sections.figures import FigureView
from harness.report.words import condition_title

ANCHOR = "tradeoff"


def tradeoff_view(parts: Sequence[ReportInput]) -> FigureView | None:
    """The figure, which says in words which arms are dominated; None where no two parts share their arms."""
    found = tradeoffs(parts)
    if not found:
        return None
    quality, cost = metric(found[0].quality).label, metric(found[0].cost).label
    title = f"{quality} against {cost}"
    caption = (
        "Both are effects against the baseline, with 95 % intervals in both directions; up and left is better. A grey cross is "
        "dominated: another arm is better or equal at both whatever the values are within their intervals."
    )
    panels = tuple(
        inline_svg(
            draw_tradeoff(info), name=f"{ANCHOR}-{place}", title=f"{title}: {condition_title(info.condition)}",
            description=caption,
        )
        for place, info in enumerate(found, start=1)
    )  # fmt: skip
    return FigureView(
        anchor=ANCHOR, title=title, caption=caption, panels=panels,
        left_out=tuple(_dominated(info) for info in found), links={},
    )  # fmt: skip


def _dominated(info: Tradeoff) -> str:
    where = condition_title(info.condition)
    beaten = [f"{arm} (by {', '.join(by)})" for arm, by in info.front.dominated.items()]
    return f"{where}: dominated are {'; '.join(beaten)}." if beaten else f"{where}: no arm is dominated."
