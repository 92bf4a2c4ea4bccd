"""Tuning: the settings that were tried for each arm before the comparison, their results, and the choice."""

from __future__ import annotations

from dataclasses import dataclass

from harness.metrics import metric
from harness.report.inputs import ReportInput
from harness.report.labels import ArmName, arm_name, condition_title
from harness.study.loaded import LoadedStudy, Tried, TunedArm
from harness.study.names import Names
from harness.study.seeds import FIRST_TUNING_SEED
from harness.study.tune import Tune


@dataclass(frozen=True, kw_only=True)
class TriedView:
    """One candidate: its settings and the median of the metric over the seeds of tuning."""

    settings: str
    value: str
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class ArmView:
    """`note` says what a reader should know about the choice; it may be empty."""

    condition: str
    arm: ArmName
    tried: tuple[TriedView, ...]
    note: str


@dataclass(frozen=True, kw_only=True)
class TuningView:
    """`columns` is empty if the arms were tried with different settings. `arms` is empty until tuning has
    ended.
    """

    rule: str
    columns: tuple[str, ...]
    arms: tuple[ArmView, ...]


def tuning_view(report: ReportInput) -> TuningView | None:
    """None for a study without tuning."""
    tune, tuned = report.loaded.study.design.tune, report.loaded.tuned
    if tune is None:
        return None
    arms = tuple(_arm(arm, tune, report.loaded) for arm in tuned)
    names = {tuple(tried.settings for tried in arm.tried) for arm in arms}
    return TuningView(
        rule=_rule(tune, len(tuned), report.loaded.names),
        columns=names.pop() if len(names) == 1 else (),
        arms=arms,
    )


def _rule(tune: Tune, arms: int, names: Names) -> str:
    record = metric(tune.by)
    seeds = (
        f"seed {FIRST_TUNING_SEED}"
        if tune.seeds == 1
        else f"seeds {FIRST_TUNING_SEED} to {FIRST_TUNING_SEED + tune.seeds - 1}"
    )
    if not arms:
        return f"Tuning by {record.label} ({seeds}) has not finished, so no settings were chosen."
    lowest = "lowest" if record.better == "lower" else "highest"
    return (
        f"For each arm, tuning chose the {', '.join(map(names.factor, tune.settings))} with the {lowest} "
        f"median {record.label} on {seeds}; if several were equal, it chose the smallest value. "
        f"{_asked(tune)}No verdict uses these seeds or trials."
    )


def _asked(tune: Tune) -> str:
    """How the candidates were chosen, if they were not on a grid."""
    if tune.search is None:
        return ""
    return (
        f"Each arm had {tune.search.points} candidates: the first one is the arm as the study declares it, "
        f"and the sampler {tune.search.sampler.kind} chose each of the others by the results of those "
        "before. "
    )


def _arm(tuned: TunedArm, tune: Tune, loaded: LoadedStudy) -> ArmView:
    notes = [
        f"the best {loaded.names.factor(path)} is at the edge of what could be tried" for path in tuned.edges
    ]
    if not tuned.measured:
        notes.append("not a finalist")
    return ArmView(
        condition=condition_title(loaded, tuned.condition),
        arm=arm_name(loaded, tuned.arm),
        tried=tuple(_tried(one, tuned, tune, loaded.names) for one in tuned.tried),
        note="; ".join(notes),
    )


def _tried(one: Tried, tuned: TunedArm, tune: Tune, names: Names) -> TriedView:
    settings = ", ".join(
        f"{names.factor(path)} {value:g}" if isinstance(value, float) else f"{names.factor(path)} {value}"
        for path, value in one.settings.items()
    )
    return TriedView(settings=settings, value=metric(tune.by).format(one.median), chosen=one is tuned.chosen)
