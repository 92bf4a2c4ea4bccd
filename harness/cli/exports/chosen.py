"""Which metrics and conditions of a run are exported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.results import Contrast
from harness.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from harness.report.inputs import ReportInput


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Metrics by name, and levels of conditions. Without metrics, all of them are exported."""

    metrics: tuple[str, ...] = ()
    at: Mapping[str, str]

    @classmethod
    def from_options(cls, metrics: Sequence[str], at: Sequence[str]) -> Chosen:
        """From `--metric NAME` and `--at FACTOR=LEVEL`. Raises InputError if an option cannot be read."""
        levels = {}
        for text in at:
            factor, equals, level = text.partition("=")
            if not factor or not equals:
                raise InputError(f"--at {text} is not a condition", hint="write --at FACTOR=LEVEL")
            levels[factor] = level
        return cls(metrics=tuple(metrics), at=levels)

    @property
    def everything(self) -> bool:
        return not self.metrics and not self.at

    def check(self, parts: Iterable[ReportInput]) -> None:
        """Raises InputError if the run has no such metric or condition."""
        parts = list(parts)
        known = {contrast.metric for part in parts for contrast in part.analysis.contrasts}
        known |= {str(name) for part in parts for name in part.samples.measured["metric"].unique()}
        for name in self.metrics:
            if name not in known:
                raise InputError(f"the run has no metric {name!r}", hint=did_you_mean(name, known))
        conditions = [condition.names for part in parts for condition in part.loaded.conditions]
        for factor, level in self.at.items():
            levels = {names[factor] for names in conditions if factor in names}
            if not levels:
                known = {name for names in conditions for name in names}
                raise InputError(f"the run has no condition {factor!r}", hint=did_you_mean(factor, known))
            if level not in levels:
                raise InputError(
                    f"the condition {factor!r} has no level {level!r}", hint=did_you_mean(level, levels)
                )

    def contrasts(self, contrasts: Iterable[Contrast]) -> list[Contrast]:
        return [
            contrast
            for contrast in contrasts
            if (not self.metrics or contrast.metric in self.metrics)
            and all(contrast.condition.get(factor) == level for factor, level in self.at.items())
        ]

    def rows(self, samples: pd.DataFrame) -> pd.DataFrame:
        """The rows of a long frame. A trial has no condition if it is a training for other trials."""
        if self.metrics:
            samples = samples[samples["metric"].isin(self.metrics)]
        for factor, level in self.at.items():
            samples = samples[samples[factor].astype("string").eq(level).fillna(value=False)]
        return samples
