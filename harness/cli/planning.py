"""`harness plan`, `list` and `new`: what would run, what there is, and a study to start from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.cli.console import Output
from harness.cli.open_plan import open_lines, open_plan
from harness.errors import HarnessError, InputError
from harness.experiment import Experiment, Place
from harness.experiment.estimate import Estimate, estimate
from harness.invariants.registry import find_invariant
from harness.metrics import DEFAULT_MARGINS, Metric, format_seconds, metric
from harness.statistics import largest_family, rounds_needed, smallest_detectable
from harness.store.rows import CalibrationRow
from harness.study.arms import Combination
from harness.study.load import LoadedStudy, load_study, scales
from harness.study.plan import Plan, plan
from harness.study.schema import Study
from harness.telemetry.calibration import Calibration, Scatter


def show_plan(experiment: Experiment, output: Output) -> None:
    """Every trial in its order; what arms, conditions and time there are, and the smallest effect that the design can see.

    Of a study with parts, the same of each of them.
    """
    plans = [(part, plan(part)) for part in experiment.parts]
    needed = [estimate(planned, part.study.study, experiment.place) for part, planned in plans]
    calibrated = experiment.calibration()
    if output.json:
        told = [
            {**_told(part, planned, time, recommended(part, calibrated)), **open_plan(part, experiment.place)}
            for (part, planned), time in zip(plans, needed, strict=True)
        ]
        whole = told[0] if len(told) == 1 else {"parts": told}
        output.data({"study": experiment.name, "scale": experiment.parts[0].scale, **whole})
        return
    output.note(f"{experiment.name}: {experiment.parts[0].study.question}")
    for (part, planned), time in zip(plans, needed, strict=True):
        if part.part:
            output.note(f"part {part.part}")
        output.table(_trials(planned), ["position", "purpose", "round", "trial", "id"])
        for line in (*_about(part), *_recommendation(part, calibrated)):
            output.note(line)
        output.note(f"{len(planned.trials)} trials, about {_minutes(time.seconds)} ({time.source})")
        for line in open_lines(part, experiment.place):
            output.note(line)
    if len(plans) > 1:
        output.note(f"all parts: about {_minutes(sum(time.seconds for time in needed))}")


def _told(part: LoadedStudy, planned: Plan, time: Estimate, needed: Recommended | None) -> dict[str, Any]:
    return {
        **({"part": part.part} if part.part else {}),
        "digest": part.study.digest,
        "arms": [{"arm": arm.name, "differs_in": differences(part, arm)} for arm in part.arms],
        "conditions": [condition.names for condition in part.conditions],
        "estimate": {"seconds": time.seconds, "source": time.source},
        "rounds": {"planned": part.study.design.rounds, "recommended": needed.rounds if needed else None},
        "trials": _trials(planned),
    }


def _trials(planned: Plan) -> list[dict[str, Any]]:
    return [
        {
            "position": position,
            "purpose": spec.purpose,
            "round": spec.round or None,
            "trial": spec.title,
            "id": spec.id,
        }
        for position, spec in enumerate(planned.trials)
    ]


def differences(loaded: LoadedStudy, arm: Combination) -> dict[str, list[Any]]:
    """What an arm is set to do differently from the baseline: path → [baseline's value, its own], over all conditions."""
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


def _about(loaded: LoadedStudy) -> Iterator[str]:
    study, rounds = loaded.study, loaded.study.design.rounds
    record = metric(study.primary)
    margin = _margin(study, record)
    yield f"arms: {loaded.baseline.name} (baseline)"
    for arm in loaded.arms[1:]:
        changes = [f"{path} {base!r} → {own!r}" for path, (base, own) in differences(loaded, arm).items()]
        yield f"arms: {arm.name}: " + ", ".join(changes)
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
    if record.compared_by == "differences":
        pairs = (
            "sentences of one checkpoint"
            if study.design.seeds == 1
            else f"{study.design.seeds} seeds × sentences"
        )
        yield f"{record.name} is compared by differences over {pairs}; less than {margin:g} does not matter"
        return
    family = (len(loaded.arms) - 1) * len(loaded.conditions)
    yield (
        f"{rounds} rounds can reject in families of at most {largest_family(rounds)} contrasts; "
        f"{record.name} has {family}"
    )
    if rounds >= 6:
        seen = [(spread, smallest_detectable(rounds, spread)) for spread in (0.02, 0.05, 0.2)]
        yield (
            f"smallest change of {record.name} that is seen 4 times in 5 (margin {margin:.0%}): "
            + ", ".join(f"{effect:.1%} if rounds scatter by {spread:.0%}" for spread, effect in seen)
        )


@dataclass(frozen=True, kw_only=True)
class Recommended:
    """Rounds that the primary metric needs at the scatter that calibration found for it, or for the worst like it."""

    rounds: int
    scatter: Scatter
    calibrated: str


def recommended(loaded: LoadedStudy, row: CalibrationRow | None) -> Recommended | None:
    """None for what is not paired over rounds or is counted exactly, and where this machine has not been calibrated."""
    record = metric(loaded.study.primary)
    if row is None or record.paired_over != "rounds" or record.family == "bytes":
        return None
    found = Calibration.read(row.facts).scatter_of(record.name, record.family)
    if found is None:
        return None
    rounds = rounds_needed(found.sigma, _margin(loaded.study, record))
    return Recommended(rounds=rounds, scatter=found, calibrated=row.made_at[:10])


def _recommendation(loaded: LoadedStudy, row: CalibrationRow | None) -> Iterator[str]:
    found, record = recommended(loaded, row), metric(loaded.study.primary)
    if found is not None:
        yield (
            f"{found.rounds:,} rounds are recommended for a margin of {_margin(loaded.study, record):.0%}: on this machine "
            f"{found.scatter.metric} scatters by {found.scatter.sigma:.1%} (calibrated {found.calibrated})"
        )
    elif row is None:
        yield "this machine is not calibrated: `harness calibrate` tells how many rounds its scatter needs"


def _margin(study: Study, record: Metric) -> float:
    return study.margins.get(record.name, study.margins.get(record.family, DEFAULT_MARGINS[record.family]))


def _minutes(seconds: float) -> str:
    return format_seconds(seconds) if seconds < 100 else f"{seconds / 60:.0f} minutes"


def show_studies(folder: Path, place: Place, output: Output) -> None:
    """One line a study: its question, scales, and newest run; a study that cannot be read says why."""
    newest = _newest_runs(place)
    rows = []
    for path in sorted(folder.glob("*.yaml")):
        row: dict[str, Any] = {
            "study": path.stem,
            "question": None,
            "scales": None,
            "newest_run": newest.get(path.stem),
            "problem": None,
        }
        try:
            row["scales"] = list(scales(path))
            row["question"] = load_study(path)[0].study.question
        except HarnessError as error:
            row["problem"] = str(error)
        rows.append(row)
    problems = any(row["problem"] for row in rows)
    output.table(rows, ["study", "question", "scales", "newest_run", *(["problem"] if problems else [])])


def _newest_runs(place: Place) -> dict[str, str]:
    from harness.store.store import open_store

    if not place.has_store():
        return {}
    with open_store(place.location) as store:
        runs = sorted(store.runs(), key=lambda run: run.created_at)
    return {run.study.partition("/")[0]: f"{run.created_at[:16]} {run.scale}" for run in runs}


def new_study(name: str, folder: Path, output: Output) -> None:
    """Write `folder/NAME.yaml`, and the recipe that it uses where there is none. Nothing that is there is overwritten."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise InputError(
            f"{name!r} is no name of a study", hint="small letters, digits and underscores, as in my_study"
        )
    source = files("harness.study") / "template"
    wanted = {folder / f"{name}.yaml": "study.yaml", folder / "recipes" / "lm-tiny.yaml": "recipe.yaml"}
    study = next(iter(wanted))
    if study.exists():
        raise InputError(f"{study} is there already", hint="choose another name")
    for path, template in wanted.items():
        if path.exists():
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                (source / template).read_text(encoding="utf-8").replace("NAME", name), encoding="utf-8"
            )
        except OSError as error:
            raise InputError(
                f"cannot write {path}: {error.strerror}", hint="choose another folder"
            ) from error
    output.line(str(study))
