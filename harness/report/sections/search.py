"""The search: what it found, what was left of it on fresh seeds, and every point that it asked."""

from __future__ import annotations

from harness.report.inputs import ReportInput


def headline(report: ReportInput) -> list[str]:
    """What the search said and what the proof said, for the terminal."""
    search = report.search
    if search is None:
        return []
    objective = search.objectives[0]
    lines = [f"{len(search.points)} points"]
    for name, point in search.best.items():
        values = ", ".join(f"{path}={value}" for path, value in point.names.items())
        now, before = (objective.format(one.median(objective)) for one in (point, search.begin))
        lines.append(f"{name}: point {point.number} ({values}), {objective.label} {now}, before {before}")
    return lines
