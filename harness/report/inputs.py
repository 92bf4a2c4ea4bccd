"""The input of a report. The module `source` fills it from a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.analysis.earlier_runs import NO_HISTORY, History
from harness.analysis.frames import trial_values, with_diverged
from harness.analysis.validity.voids import values_that_count, void_rounds_of
from harness.report.labels import anchor
from harness.report.machine import disturbances
from harness.report.series import NOTHING_RECORDED, Recorded
from harness.store.rows import Chain
from harness.trial.outcome import NOT_TIMED

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.results import Analysis
    from harness.scoring.sentences import Sentences
    from harness.search.findings import SearchFindings
    from harness.store.rows import CalibrationRow, Run, Session, TrialRow
    from harness.study.loaded import LoadedStudy


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """One run of a study.

    `study` is the digest of the text of the study by which the run is judged. `created_at` is a time in ISO
    8601 and UTC. `plant` is the name of a planted bug. `failed` has one line per trial that failed. `chain`
    are the digests of what the attempts recorded. `running` says whether a driver works on the run now.
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
    study: str = ""
    failed: list[str] = field(default_factory=list)
    chain: Chain = field(default_factory=Chain)
    running: bool = False

    @property
    def progress(self) -> str:
        """`running, 1 of 128`. Empty if all trials have finished, or only those that failed are missing."""
        if self.finished_trials >= self.expected_trials or (self.failed and not self.running):
            return ""
        state = "running" if self.running else "interrupted"
        return f"{state}, {self.finished_trials} of {self.expected_trials}"


MOST_NUMBERS = 20_000
"""The largest number of samples, or else of values of trials, in the tables of samples of a report. With more
of them the page of an ordinary study would be larger than 2 MB. The store has all samples.
"""


@dataclass(frozen=True, kw_only=True)
class ReportSamples:
    """The samples of the trials that finished.

    `measured` has the value of each metric in each measurement, and `before` in each other trial
    (`harness.analysis.frames.trial_values`). `raw` is the long frame of all raw samples, NaN and infinities
    included, or None if there are too many to be listed. `total` counts them.
    """

    measured: pd.DataFrame
    before: pd.DataFrame
    raw: pd.DataFrame | None
    total: int

    @classmethod
    def from_frame(cls, raw: pd.DataFrame) -> ReportSamples:
        """Those of a long frame."""
        measured = raw["purpose"] == "measure"
        return cls(
            measured=trial_values(raw[measured]),
            before=trial_values(raw[~measured]),
            raw=raw,
            total=len(raw),
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class ReportInput:
    """The input for one part of a study.

    `samples` has the values of the trials and, if they are few, the raw samples. `telemetry` has the column
    `trial` and the columns of `harness.telemetry.process_sampler.TelemetrySample`; `nvml_reason` says why the
    GPU columns are empty, or is None. `calibration` is the newest calibration of the machine before the first
    measurement. `command` repeats the run. `sentences` maps trials to the texts that they wrote. `history`
    holds the earlier verdicts, `recorded` the series of the trainings, and `search` what a search found, if
    the study proves it. `superseded` are the attempts that do not count any more; all others are `trials`.
    `sessions` are those that measured, and `former` the runs of the history, the oldest first.
    """

    loaded: LoadedStudy
    analysis: Analysis
    samples: ReportSamples
    trials: tuple[TrialRow, ...]
    telemetry: pd.DataFrame
    run: RunInfo
    environment: Mapping[str, Any]
    provenance: Mapping[str, Any]
    nvml_reason: str | None
    command: str
    calibration: CalibrationRow | None
    sentences: Mapping[int, Sentences] = field(default_factory=dict)
    history: History = NO_HISTORY
    search: SearchFindings | None = None
    recorded: Recorded = NOTHING_RECORDED
    superseded: tuple[TrialRow, ...] = ()
    sessions: tuple[Session, ...] = ()
    former: tuple[Run, ...] = ()

    def __repr__(self) -> str:
        return f"ReportInput(run {self.run.id}: {self.analysis!r})"

    def anchor(self, *parts: object) -> str:
        """An id that is unique on the page, because it contains the part of the study."""
        return anchor(*(("part", self.loaded.part) if self.loaded.part else ()), *parts)

    @cached_property
    def disturbances(self) -> tuple[str, ...]:
        """Sentences about whatever disturbed the machine while trials were timed."""
        untimed = [trial.id for trial in self.trials if NOT_TIMED in trial.notes]
        measured = set(self.samples.measured["trial"]) - set(untimed)
        return disturbances(self.telemetry[self.telemetry["trial"].isin(measured)])

    @cached_property
    def values(self) -> pd.DataFrame:
        """One value per measured trial and metric, as in the analysis. The losses of a training that diverged
        are infinite.
        """
        return self._with_diverged(values_that_count(self.samples.measured, self.void))

    @cached_property
    def every_value(self) -> pd.DataFrame:
        """The same with the timings of void rounds, which do not count."""
        return self._with_diverged(self.samples.measured)

    @cached_property
    def void(self) -> frozenset[int]:
        """The rounds whose timings do not count."""
        return void_rounds_of(self.loaded, self.trials)

    def _with_diverged(self, values: pd.DataFrame) -> pd.DataFrame:
        return with_diverged(values, self.trials, sorted({self.loaded.study.primary, *values["metric"]}))

    @cached_property
    def written(self) -> dict[str, Sentences]:
        """The texts of each arm: those of the lowest seed's first round under the first condition.

        It is empty if the arms had different sources.
        """
        first: dict[str, Sentences] = {}
        rows = self.samples.measured[["trial", "arm", "seed", "round", "position"]].drop_duplicates()
        rows = rows.sort_values(["seed", "round", "position"], kind="stable")
        for trial, arm in zip(rows["trial"].tolist(), rows["arm"].tolist(), strict=True):
            if trial in self.sentences:
                first.setdefault(arm, self.sentences[trial])
        ordered = {arm.name: first[arm.name] for arm in self.loaded.arms if arm.name in first}
        return ordered if len({sentences.sources for sentences in ordered.values()}) == 1 else {}
