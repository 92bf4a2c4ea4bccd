"""`harness plan`: the arms of a study, its estimated duration, what the design can detect, and its trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.cli.console import CommandOutput, parts_as_json
from harness.experiment import Experiment
from harness.experiment.calibrated_rounds import Recommendation, recommended_rounds
from harness.experiment.corpora import check_own_files
from harness.experiment.detectable_effect import DetectableEffect, detectable_effect
from harness.experiment.estimate import Estimate, estimate
from harness.experiment.measurable import NotMeasured
from harness.invariants.registry import find_invariant
from harness.metrics import metric
from harness.statistics import largest_family
from harness.store.rows import CalibrationRow
from harness.study.arm_settings import differences, setting_text
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import Plan, longest_plan, plan
from harness.wording import count, format_seconds, margin_text

MANY_CONTRASTS = 1_000_000
"""No study has as many."""


@dataclass(frozen=True, kw_only=True)
class _PartPlan:
    """The plan of a part with everything that is shown about it.

    `longest` and its duration are those of the plan in which rounds end as late as the design allows.
    """

    part: LoadedStudy
    plan: Plan
    duration: Estimate
    effect: DetectableEffect
    recommendation: Recommendation | None
    longest: Plan
    longest_duration: Estimate
    not_measured: list[NotMeasured]

    def data(self) -> dict[str, Any]:
        design = self.part.study.design
        data = {
            "digest": self.part.study.digest,
            "arms": [{"arm": arm.name, "differs_in": differences(self.part, arm)} for arm in self.part.arms],
            "conditions": [condition.names for condition in self.part.conditions],
            "estimate": {"seconds": self.duration.seconds, "source": self.duration.source},
            "rounds": {
                "planned": design.rounds,
                "recommended": self.recommendation.rounds if self.recommendation else None,
            },
            "detectable": self.effect.data(),
            "not_measured": [str(missing) for missing in self.not_measured],
            "trials": _trials(self.plan, str),
        }
        if design.until is not None:
            data["at_most"] = {
                "rounds": design.rounds,
                "trials": len(self.longest.trials),
                "seconds": self.longest_duration.seconds,
            }
        if design.tune is not None:
            data["tuning"] = {
                "trials": len(self.plan.tuning),
                "by": design.tune.by,
                "finalists": design.tune.finalists,
            }
        return data


def show_plan(experiment: Experiment, output: CommandOutput, *, rows: bool) -> None:
    """Print the arms and conditions, the estimated duration and the smallest detectable effect of each part;
    with `rows`, then every trial in order. The summary is the result, unless there are rows: then it is a
    note, so that a pipe gets the rows alone. JSON always has the rows.

    Raises CorpusError if a file of the user's own text is missing, or has not the columns that it needs.
    """
    check_own_files(*experiment.parts)
    calibration = experiment.calibration()
    plans = [_part_plan(experiment, part, calibration) for part in experiment.parts]
    if output.json:
        data = parts_as_json([(planned.part.part, planned.data()) for planned in plans])
        output.data({"study": experiment.name, "scale": experiment.parts[0].scale, **data})
        return
    if experiment.missing_gpu:
        output.note(experiment.missing_gpu)
    say = output.note if rows else output.line
    say(f"{experiment.name}: {experiment.parts[0].study.question}")
    for planned in plans:
        if planned.part.part:
            say(f"part {planned.part.part}")
        for line in _lines(planned, calibrated=calibration is not None):
            say(line)
    if len(plans) > 1:
        say(f"all parts: about {_minutes(sum(planned.duration.seconds for planned in plans))}")
    if not rows:
        output.note("--rows also prints every trial in order")
        return
    for planned in plans:
        if planned.part.part:
            output.note(f"part {planned.part.part}")
        trials = _trials(planned.plan, planned.part.label)
        output.table(trials, ["position", "purpose", "round", "trial", "id"])


def _part_plan(experiment: Experiment, part: LoadedStudy, calibration: CalibrationRow | None) -> _PartPlan:
    workspace = experiment.workspace
    planned = plan(part)
    duration = estimate(planned, part, workspace, cores=experiment.local_slots)
    longest, longest_duration = planned, duration
    if part.study.design.until is not None:
        longest = longest_plan(part)
        longest_duration = estimate(longest, part, workspace, cores=experiment.local_slots)
    return _PartPlan(
        part=part,
        plan=planned,
        duration=duration,
        effect=detectable_effect(part, workspace),
        recommendation=recommended_rounds(part, calibration),
        longest=longest,
        longest_duration=longest_duration,
        not_measured=experiment.not_measured(part),
    )


def _trials(planned: Plan, arm_name: Callable[[str], str]) -> list[dict[str, Any]]:
    return [
        {
            "position": position,
            "purpose": spec.purpose,
            "round": spec.round or None,
            "trial": spec.titled(arm_name(spec.arm)),
            "id": spec.id,
        }
        for position, spec in enumerate(planned.trials)
    ]


def _lines(planned: _PartPlan, *, calibrated: bool) -> Iterator[str]:
    """The notes on a part, for people."""
    yield from _setup_lines(planned.part)
    for missing in planned.not_measured:
        yield f"{missing}{', so `harness run` refuses the study here' if missing.decides else ''}"
    yield from _detection_lines(planned.part, planned.effect)
    if planned.recommendation is not None:
        yield _recommendation_line(planned.part, planned.recommendation)
    elif not calibrated:
        yield "this machine is not calibrated; `harness calibrate` finds out how many rounds it needs"
    seconds, source = _minutes(planned.duration.seconds), planned.duration.source
    yield f"{len(planned.plan.trials)} trials, about {seconds} ({source})"
    yield from _adaptive_lines(planned)


def _setup_lines(loaded: LoadedStudy) -> Iterator[str]:
    study = loaded.study
    yield f"arms: {loaded.baseline.name} (baseline)"
    for arm in loaded.arms[1:]:
        changes = [
            f"{path} {setting_text(base)} → {setting_text(value)}"
            for path, (base, value) in differences(loaded, arm).items()
        ]
        yield f"arms: {loaded.label(arm.name)}: " + ", ".join(changes)
    yield "conditions: " + (
        "; ".join(condition.name for condition in loaded.conditions if condition.name) or "one"
    )
    if study.parity.match:
        yield "parity: arms must do the same amount of work, and must also agree in " + ", ".join(
            study.parity.match
        )
    if study.parity.differ:
        yield "parity: arms may differ in " + ", ".join(study.parity.differ)
    for name in study.invariants:
        yield f"invariant {name}: {find_invariant(name).statement}"
    if study.design.exploratory:
        yield "exploratory: the report shows effects, but gives no verdicts"


def _detection_lines(loaded: LoadedStudy, effect: DetectableEffect) -> Iterator[str]:
    """How the primary metric is compared, and which differences the design can detect."""
    study, record = loaded.study, metric(loaded.study.primary)
    margin, unit = margin_text(study.margin(record), record.compared_by), record.paired_over
    if unit == "sentences":
        seeds = study.design.seeds
        models = "one checkpoint" if seeds == 1 else f"{seeds} seeds"
        yield f"{record.name} is compared by differences, paired by sentence, with {models} (margin {margin})"
        numbers = "number of sentences" if seeds == 1 else "numbers of seeds and sentences"
        yield f"the smallest detectable difference depends on the {numbers}: {_interval_width(effect)}"
        return
    pairs, contrasts = study.design.pairs(unit), (len(loaded.arms) - 1) * len(loaded.conditions)
    family = largest_family(pairs)
    if not family:
        decides = "cannot decide a contrast"
    elif family > MANY_CONTRASTS:
        decides = "can decide every family"
    else:
        decides = f"can decide families of at most {count(family, 'contrast')}"
    yield f"{count(pairs, unit[:-1])} {decides}; {record.name} has {contrasts}"
    if effect.procedure is not None and "exact" not in effect.procedure:
        yield f"p and intervals: {effect.procedure}, because {pairs:,} pairs are too many for the exact one"
    size = _effect_size(effect, unit)
    yield f"smallest change of {record.name} that is detected with probability 0.8 (margin {margin}): {size}"


def _interval_width(effect: DetectableEffect) -> str:
    if effect.half_width is None:
        return effect.source
    width = f"± {effect.half_width:.2g} over {effect.pairs:,} sentences"
    return f"95 % intervals are at most {width} ({effect.source})"


def _effect_size(effect: DetectableEffect, unit: str) -> str:
    if effect.scatter is None:
        return f"{effect.source}, which measures the scatter between {unit}"
    if effect.scatter == 0.0:
        return f"any change, because there is no scatter ({effect.source})"
    if effect.effect is None:
        return f"none, because {count(effect.pairs, unit[:-1])} cannot decide a contrast"
    if metric(effect.metric).compared_by == "differences":
        size, scatter = f"{effect.effect:.3g}", f"{effect.scatter:.3g}"
    else:
        size, scatter = f"{effect.effect * 100:.1f} %", f"{effect.scatter * 100:.1f} %"
    return f"{size}, given a scatter of {scatter} between {unit} ({effect.source})"


def _recommendation_line(loaded: LoadedStudy, recommendation: Recommendation) -> str:
    record, scatter = metric(loaded.study.primary), recommendation.scatter
    return (
        f"{recommendation.rounds:,} rounds are recommended for a margin of "
        f"{margin_text(loaded.study.margin(record), record.compared_by)}: the scatter of {scatter.metric} on "
        f"this machine is {scatter.sigma * 100:.1f} % (calibrated {recommendation.calibrated})"
    )


def _adaptive_lines(planned: _PartPlan) -> Iterator[str]:
    """What the results of earlier trials will decide: tuned settings, finalists, the number of rounds."""
    design = planned.part.study.design
    if design.tune is not None:
        score, tuned = metric(design.tune.by).label, ", ".join(design.tune.settings)
        yield (
            f"tuning: {tuned} of each arm, by the best {score} of {len(planned.plan.tuning)} trials; "
            "until then the plan shows the values before tuning"
        )
        if design.tune.finalists:
            arms = len(planned.part.arms)
            yield f"finalists: {design.tune.finalists} of {arms} arms are measured, including the baseline"
    if design.until is not None:
        trials, seconds = len(planned.longest.trials), planned.longest_duration.seconds
        yield (
            f"{design.fewest_rounds} to {design.rounds} rounds, until every 95 % interval is at most "
            f"{design.until.width * 100:g} % wide: up to {trials} trials, about {format_seconds(seconds)}"
        )


def _minutes(seconds: float) -> str:
    return format_seconds(seconds) if seconds < 100 else f"{seconds / 60:.0f} minutes"
