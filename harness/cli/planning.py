"""`harness plan` and `harness list`: what would run, and what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.cli.console import Output
from harness.cli.studies import find_study
from harness.errors import HarnessError
from harness.invariants.registry import find_invariant
from harness.metrics import DEFAULT_MARGINS, metric
from harness.statistics import largest_family, smallest_detectable
from harness.study.load import LoadedStudy, load_study, scales
from harness.study.plan import plan


def show_plan(name: str, scale: str, output: Output) -> None:
    """Every trial in its order, and the smallest effect that the design can see."""
    loaded = load_study(find_study(name), scale)
    planned = plan(loaded)
    rows: list[dict[str, Any]] = [
        {
            "position": position,
            "purpose": spec.purpose,
            "round": spec.round or None,
            "trial": spec.title,
            "id": spec.id,
        }
        for position, spec in enumerate(planned.trials)
    ]
    if output.json:
        output.data(
            {"study": loaded.study.study, "scale": scale, "digest": loaded.study.digest, "trials": rows}
        )
        return
    output.table(rows, ["position", "purpose", "round", "trial", "id"])
    for line in _about(loaded):
        output.note(line)


def _about(loaded: LoadedStudy) -> list[str]:
    study, rounds = loaded.study, loaded.study.design.rounds
    record = metric(study.primary)
    margin = study.margins.get(record.name, study.margins.get(record.family, DEFAULT_MARGINS[record.family]))
    lines = [f"{study.study}: {study.question}"]
    lines += [f"invariant {name}: {find_invariant(name).statement}" for name in study.invariants]
    if study.design.exploratory:
        lines.append("exploratory: effects, no verdicts")
    family = (len(loaded.arms) - 1) * len(loaded.conditions)
    lines.append(
        f"{rounds} rounds can reject in families of at most {largest_family(rounds)} contrasts; the table of {record.name} has {family}"
    )
    seen = [(spread, smallest_detectable(rounds, spread)) for spread in (0.02, 0.05, 0.2)]
    lines.append(
        f"smallest ratio of {record.name} that is seen 4 times in 5 (margin {margin:.0%}), if rounds scatter by "
        + ", ".join(f"{spread:.0%}: {effect:.1%}" for spread, effect in seen)
    )
    return lines


def show_studies(folder: Path, database: str | Path, output: Output) -> None:
    """One line a study: its question, scales, and newest run; a study that cannot be read says why."""
    newest = _newest_runs(database)
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
            row["question"] = load_study(path).study.question
        except HarnessError as error:
            row["problem"] = str(error)
        rows.append(row)
    problems = any(row["problem"] for row in rows)
    output.table(rows, ["study", "question", "scales", "newest_run", *(["problem"] if problems else [])])


def _newest_runs(database: str | Path) -> dict[str, str]:
    from harness.cli.results import store_exists

    if not store_exists(str(database)):
        return {}
    from harness.store.store import open_store

    with open_store(database) as store:
        runs = sorted(store.runs(), key=lambda run: run.created_at)
    return {run.study: f"{run.created_at[:16]} {run.scale}" for run in runs}
