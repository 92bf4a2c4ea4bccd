"""How much each parameter decides whether a point of a search is among the best: one bar per parameter."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure

from harness.metrics import Metric
from harness.report.plots.style import PALETTE, WIDE, Plot, panel
from harness.search.findings import SearchFindings
from harness.search.importance import importance, ranked_points
from harness.study.names import Names
from harness.wording import percent_text


@dataclass(frozen=True, kw_only=True)
class Importance(Plot):
    """`shares` has the parameters by their names for people, the most important first. `points` is the number
    of points that were compared, and `left_out` that of the others.
    """

    objective: Metric
    shares: tuple[tuple[str, float], ...]
    points: int


def importances(findings: SearchFindings, objective: Metric, names: Names) -> Importance | None:
    """None if there is one parameter, whose share would be all, or if shares cannot be computed."""
    shares = importance(findings, objective) if len(findings.space.parameters) > 1 else None
    if shares is None:
        return None
    points = len(ranked_points(findings))
    return Importance(
        metric=objective.name,
        objective=objective,
        shares=tuple(
            sorted(((names.factor(path), share) for path, share in shares.items()), key=lambda pair: -pair[1])
        ),
        points=points,
        left_out=len(findings.points) - points,
    )


def draw_importance(info: Importance) -> Figure:
    names = [name for name, _ in info.shares]
    with panel(width=WIDE, height=0.8 + 0.27 * len(names)) as (figure, axes):
        axes.barh(range(len(names)), [share for _, share in info.shares], height=0.62, color=PALETTE[0])
        for row, (_, share) in enumerate(info.shares):
            axes.annotate(
                percent_text(share) if share >= 0.001 else "0 %",
                (share, row),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
            )
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(0, 1.12 * max(share for _, share in info.shares))
        axes.set_xticks([])
        axes.grid(visible=False)
        axes.set_xlabel(f"share in what decides {info.objective.label} (n = {info.points})")
        return figure
