"""`harness plan`: what would run, how long it takes, and what the design can see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.cli.console import Output
from harness.cli.open_plan import open_lines, open_plan
from harness.experiment import Experiment, Place
from harness.experiment.calibrated_rounds import Recommended, recommended
from harness.experiment.detectable_effect import Detectable, detectable
from harness.experiment.estimate import Estimate, estimate
from harness.invariants.registry import find_invariant
from harness.metrics import metric
from harness.statistics import largest_family
from harness.store.rows import CalibrationRow
from harness.study.arms import Combination
from harness.study.loaded import LoadedStudy
from harness.study.planning.plan import Plan, plan
from harness.wording import format_seconds


@dataclass(frozen=True, kw_only=True)
class _Planned:
    """A part with everything that is told of its plan."""

    part: LoadedStudy
    plan: Plan
    time: Estimate
    seen: Detectable
    needed: Recommended | None

    def data(self) -> dict[str, Any]:
        return {
            **({"part": self.part.part} if self.part.part else {}),
            "digest": self.part.study.digest,
            "arms": [{"arm": arm.name, "differs_in": differences(self.part, arm)} for arm in self.part.arms],
            "conditions": [condition.names for condition in self.part.conditions],
            "estimate": {"seconds": self.time.seconds, "source": self.time.source},
            "rounds": {
                "planned": self.part.study.design.rounds,
                "recommended": self.needed.rounds if self.needed else None,
            },
            "detectable": self.seen.data(),
            "trials": _trials(self.plan, str),
        }


def show_plan(experiment: Experiment, output: Output) -> None:
    """Every trial in its order; what arms, conditions and time there are, and the smallest effect that the
    design can see.

    Of a study with parts, the same of each of them.
    """
    calibrated = experiment.calibration()
    whole = [_planned(part, experiment.place, calibrated) for part in experiment.parts]
    if output.json:
        told = [{**each.data(), **open_plan(each.part, experiment.place)} for each in whole]
        shown = told[0] if len(told) == 1 else {"parts": told}
        output.data({"study": experiment.name, "scale": experiment.parts[0].scale, **shown})
        return
    output.note(f"{experiment.name}: {experiment.parts[0].study.question}")
    for each in whole:
        if each.part.part:
            output.note(f"part {each.part.part}")
        output.table(_trials(each.plan, each.part.label), ["position", "purpose", "round", "trial", "id"])
        for line in (*_about(each.part, each.seen), *_recommendation(each.part, calibrated)):
            output.note(line)
        output.note(
            f"{len(each.plan.trials)} trials, about {_minutes(each.time.seconds)} ({each.time.source})"
        )
        for line in open_lines(each.part, experiment.place):
            output.note(line)
    if len(whole) > 1:
        output.note(f"all parts: about {_minutes(sum(each.time.seconds for each in whole))}")


def _planned(part: LoadedStudy, place: Place, calibrated: CalibrationRow | None) -> _Planned:
    planned = plan(part)
    return _Planned(
        part=part,
        plan=planned,
        time=estimate(planned, part.study.study, place),
        seen=detectable(part, place),
        needed=recommended(part, calibrated),
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


def differences(loaded: LoadedStudy, arm: Combination) -> dict[str, list[Any]]:
    """What an arm is set to do differently from the baseline: path → [baseline's value, its own], over all
    conditions.
    """
    found: dict[str, list[Any]] = {}
    for condition in loaded.conditions:
        base, own = (
            dict(_leaves(loaded.tasks[name, condition.name].plain()))
            for name in (loaded.baseline.name, arm.name)
        )
        for path in sorted({*base, *own}):
            if base.get(path) != own.get(path):
                found.setdefault(path, [base.get(path), own.get(path)])
    return found


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def _about(loaded: LoadedStudy, seen: Detectable) -> Iterator[str]:
    study = loaded.study
    yield f"arms: {loaded.baseline.name} (baseline)"
    for arm in loaded.arms[1:]:
        changes = [f"{path} {base!r} → {own!r}" for path, (base, own) in differences(loaded, arm).items()]
        yield f"arms: {loaded.label(arm.name)}: " + ", ".join(changes)
    yield "conditions: " + (
        "; ".join(condition.name for condition in loaded.conditions if condition.name) or "one"
    )
    if study.parity.match:
        yield "arms must match in all that is counted, and in: " + ", ".join(study.parity.match)
    if study.parity.differ:
        yield "arms may differ in: " + ", ".join(study.parity.differ)
    for name in study.invariants:
        yield f"invariant {name}: {find_invariant(name).statement}"
    if study.design.exploratory:
        yield "exploratory: effects, no verdicts"
    yield from _decides(loaded, seen)


def _decides(loaded: LoadedStudy, seen: Detectable) -> Iterator[str]:
    """What the comparisons of the primary metric rest on, and how small a difference they show."""
    study, record = loaded.study, metric(loaded.study.primary)
    margin, unit = study.margin(record), record.paired_over
    if unit == "sentences":
        one = study.design.seeds == 1
        pairs = "sentences of one checkpoint" if one else f"{study.design.seeds} seeds × sentences"
        yield f"{record.name} is compared by differences over {pairs}; less than {margin:g} does not matter"
        decides = "number of sentences decides" if one else "numbers of seeds and of sentences decide"
        yield f"the {decides} how small a difference is seen: {_width(seen)}"
        return
    number = study.design.pairs(unit)
    yield (
        f"{number} {unit if number > 1 else unit[:-1]} can reject in families of at most {largest_family(number)} contrasts; "
        f"{record.name} has {(len(loaded.arms) - 1) * len(loaded.conditions)}"
    )
    allowed = f"{margin:.0%}" if record.compared_by == "ratios" else f"{margin:g}"
    yield f"smallest change of {record.name} that is seen 4 times in 5 (margin {allowed}): {_effect(seen, unit)}"


def _width(seen: Detectable) -> str:
    if seen.half_width is None:
        return seen.source
    return f"95 % intervals are at most ± {seen.half_width:.2g} over {seen.pairs:,} sentences ({seen.source})"


def _effect(seen: Detectable, unit: str) -> str:
    if seen.scatter is None:
        return f"{seen.source}, which tells how much {unit} scatter"
    if seen.scatter == 0.0:
        return f"any, as nothing scatters ({seen.source})"
    if seen.effect is None:
        return "none, 1 pair is too few" if seen.pairs == 1 else f"none, {seen.pairs} {unit} are too few"
    if metric(seen.metric).compared_by == "differences":
        return f"{seen.effect:.3g}, if {unit} scatter by {seen.scatter:.3g} ({seen.source})"
    return f"{seen.effect:.1%}, if {unit} scatter by {seen.scatter:.1%} ({seen.source})"


def _recommendation(loaded: LoadedStudy, row: CalibrationRow | None) -> Iterator[str]:
    found, record = recommended(loaded, row), metric(loaded.study.primary)
    if found is not None:
        yield (
            f"{found.rounds:,} rounds are recommended for a margin of {loaded.study.margin(record):.0%}: on this machine "
            f"{found.scatter.metric} scatters by {found.scatter.sigma:.1%} (calibrated {found.calibrated})"
        )
    elif row is None:
        yield "this machine is not calibrated: `harness calibrate` tells how many rounds its scatter needs"


def _minutes(seconds: float) -> str:
    return format_seconds(seconds) if seconds < 100 else f"{seconds / 60:.0f} minutes"
