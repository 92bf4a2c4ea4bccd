"""A metric that a study declares, because the program that the study runs reports it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from harness.config import Config, content
from harness.metrics import DEFAULT_MARGINS, Better, Metric
from harness.programs.outputs import JSON_LINES, AnyOutput

MetricName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class DeclaredMetric(Config):
    """What a metric measures and how arms are compared on it.

    Arms are compared by `ratio`, or by `difference` if the value may be zero or below. Values are paired over
    `seeds` if the seed decides about them (a loss, a score), and over `rounds` if each run measures them anew
    (a time, a rate): then a run that was disturbed does not count. `per_trial` says how several values of a
    trial become its one value: by default the last one over seeds, and the median over rounds. `output` says
    where the program writes the values.
    """

    better: Better
    """Which values are better: lower or higher ones."""

    compared_by: Literal["ratio", "difference"] = "ratio"
    """Whether arms are compared by ratios, or by differences, for values that may be zero or negative."""

    paired_over: Literal["seeds", "rounds"]
    """Use seeds if the seed decides about the value (a loss), and rounds if each run measures it anew (a
    time).
    """

    unit: str = Field(default="", max_length=20)
    """The unit of the values, for example `ms`."""

    per_trial: Literal["last", "median", "max"] | None = None
    """How several values of a trial become its one value. Default: the last one over seeds, the median over
    rounds.
    """

    summary: str = Field(default="", max_length=200)
    """What the metric measures, in a few words."""

    output: AnyOutput = Field(default=JSON_LINES, exclude_if=lambda output: output == JSON_LINES)
    """Where the program writes the values."""

    def content(self) -> dict[str, Any]:
        """What decides how arms are compared, as plain data. The words of the summary do not."""
        return {name: value for name, value in content(self).items() if name != "summary"}

    def record(self, name: str) -> Metric:
        """The record of the metric. The margin of a ratio is that of times or of losses unless the study
        declares another one; a difference has no default margin.
        """
        timed, ratio = self.paired_over == "rounds", self.compared_by == "ratio"
        return Metric(
            name=name,
            unit=self.unit,
            better=self.better,
            compared_by="ratios" if ratio else "differences",
            paired_over=self.paired_over,
            timed=timed,
            margin=DEFAULT_MARGINS["time" if timed else "loss"] if ratio else 0.0,
            margin_group=f"{name} of the program",
            margin_in_points=not ratio,
            per_trial=self.per_trial or ("median" if timed else "last"),
            summary=self.summary or "reported by the program",
        )
