"""Everything that a report is made of; whoever has the store fills it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.analysis.frames import trial_values, with_diverged
from harness.report.labels import anchor
from harness.report.machine import disturbances

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.results import Analysis
    from harness.scoring.sentences import Sentences
    from harness.store.rows import CalibrationRow, TrialRow
    from harness.study.loaded import LoadedStudy


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """One run of a study.

    `created_at` is ISO 8601 in UTC, `plant` the bug planted on purpose, `failed` one line a trial.
    """

    id: str
    scale: str
    study_digest: str
    code_digest: str
    created_at: str
    sessions: int
    plant: str | None
    expected_trials: int
    finished_trials: int
    superseded_trials: int
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ReportInput:
    """`frame` is the long table of raw samples (`harness.analysis.frames`), NaN and infinities included.

    `telemetry` has the column trial and those of `harness.telemetry.process_sampler.TelemetrySample`;
    `nvml_reason` says why those of the GPU are empty, None where they are not. `calibration` is the machine's
    newest before anything was measured, None where there was none. `command` repeats the run. `sentences` are
    what trials wrote, by trial; `trials` tell which diverged.
    """

    loaded: LoadedStudy
    analysis: Analysis
    frame: pd.DataFrame
    trials: tuple[TrialRow, ...]
    telemetry: pd.DataFrame
    run: RunInfo
    environment: Mapping[str, Any]
    provenance: Mapping[str, Any]
    nvml_reason: str | None
    command: str
    calibration: CalibrationRow | None
    sentences: Mapping[int, Sentences] = field(default_factory=dict)

    def anchor(self, *parts: object) -> str:
        """An id of this page, different in each part of a study."""
        return anchor(*(("part", self.loaded.part) if self.loaded.part else ()), *parts)

    @cached_property
    def disturbances(self) -> tuple[str, ...]:
        """What else went on at the machine while trials were measured."""
        measured = self.frame.loc[self.frame["purpose"] == "measure", "trial"].unique()
        return disturbances(self.telemetry[self.telemetry["trial"].isin(measured)])

    @cached_property
    def values(self) -> pd.DataFrame:
        """One value for each measured trial and metric, as the analysis reduces them: infinite losses where
        one diverged.
        """
        values = trial_values(self.frame[self.frame["purpose"] == "measure"])
        return with_diverged(values, self.trials, sorted({self.loaded.study.primary, *values["metric"]}))

    @cached_property
    def written(self) -> dict[str, Sentences]:
        """What each arm wrote: the lowest seed's first round under the first condition.

        Empty where arms had different sources.
        """
        found: dict[str, Sentences] = {}
        rows = self.frame.loc[
            self.frame["purpose"] == "measure", ["trial", "arm", "seed", "round", "position"]
        ].drop_duplicates()
        rows = rows.sort_values(["seed", "round", "position"], kind="stable")
        for trial, arm in zip(rows["trial"].tolist(), rows["arm"].tolist(), strict=True):
            if trial in self.sentences:
                found.setdefault(arm, self.sentences[trial])
        ordered = {arm.name: found[arm.name] for arm in self.loaded.arms if arm.name in found}
        return ordered if len({each.sources for each in ordered.values()}) == 1 else {}
