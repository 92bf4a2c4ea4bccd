"""Tuning: what each arm was tried with before it was measured, what came out, and what was chosen."""

from __future__ import annotations

from dataclasses import dataclass

from harness.metrics import METRICS
from harness.report.inputs import ReportInput
from harness.report.labels import ArmName, arm_name, condition_title
from harness.report.sections.base import Section
from harness.study.planning.tuning import FIRST_SEED
from harness.study.schema import Tune
from harness.study.tuned import Tried, TunedArm


@dataclass(frozen=True, kw_only=True)
class TriedView:
    """One candidate: its settings in words, the median of the metric over the seeds of tuning."""

    settings: str
    value: str
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class ArmView:
    """`note` says what a reader should know of the choice, empty where it is nothing."""

    condition: str
    arm: ArmName
    tried: tuple[TriedView, ...]
    note: str


@dataclass(frozen=True, kw_only=True)
class TuningView:
    """`columns` are empty where arms were tried with values of their own, `arms` before tuning has ended."""

    rule: str
    columns: tuple[str, ...]
    arms: tuple[ArmView, ...]


def tuning_view(report: ReportInput) -> TuningView | None:
    """None for a study that tunes nothing."""
    tune, tuned = report.loaded.study.design.tune, report.loaded.tuned
    if tune is None:
        return None
    arms = tuple(_arm(found, tune, arm_name(report.loaded, found.arm)) for found in tuned)
    names = {tuple(tried.settings for tried in arm.tried) for arm in arms}
    return TuningView(rule=_rule(tune, len(tuned)), columns=names.pop() if len(names) == 1 else (), arms=arms)


def _rule(tune: Tune, arms: int) -> str:
    metric = METRICS[tune.by]
    seeds = (
        f"seed {FIRST_SEED}" if tune.seeds == 1 else f"seeds {FIRST_SEED} to {FIRST_SEED + tune.seeds - 1}"
    )
    if not arms:
        return f"Tuning by {metric.label} ({seeds}) has not come to its end, so nothing was chosen."
    lowest = "lowest" if metric.better == "lower" else "highest"
    return (
        f"Each arm got the {', '.join(tune.grid)} whose median {metric.label} was {lowest} on {seeds}, which nothing else uses; "
        "of equal ones the smallest value. These trials are part of no verdict."
    )


def _arm(found: TunedArm, tune: Tune, name: ArmName) -> ArmView:
    notes = [f"{path} at the edge of what was tried" for path in found.edges]
    if not found.measured:
        notes.append("not among the finalists")
    return ArmView(
        condition=condition_title(found.condition),
        arm=name,
        tried=tuple(_tried(one, found, tune) for one in found.tried),
        note="; ".join(notes),
    )


def _tried(one: Tried, found: TunedArm, tune: Tune) -> TriedView:
    settings = ", ".join(
        f"{path} {value:g}" if isinstance(value, float) else f"{path} {value}"
        for path, value in one.settings.items()
    )
    return TriedView(settings=settings, value=METRICS[tune.by].format(one.median), chosen=one is found.chosen)


SECTION = Section(id="tuning", title="How each arm was tuned", view=tuning_view)
