"""`harness compare`: what differs between runs, and their effects side by side."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from harness.cli.console import CommandOutput
from harness.errors import InputError
from harness.experiment import Workspace
from harness.experiment.compare_runs import Cell, RunComparison, compare_runs
from harness.experiment.stored_runs import find_run, restored_run
from harness.metrics import declared
from harness.report.source import report_input
from harness.store.store import Store, open_store

_DIGEST = re.compile(r"[0-9a-f]{32,}")


def show_comparison(ids: Sequence[str], workspace: Workspace, output: CommandOutput) -> None:
    """Print the comparison. Nothing is written. Other programs may read the JSON.

    Raises InputError if a run does not exist, or if there are less than two different ones.
    """
    workspace.check_exists()
    with open_store(workspace.location) as store:
        comparison = _comparison(store, ids, output)
    if output.json:
        output.data(asdict(comparison))
        return
    _print(comparison, output)


def _comparison(store: Store, ids: Sequence[str], output: CommandOutput) -> RunComparison:
    runs = [find_run(store, wanted) for wanted in ids]
    if len({run.id for run in runs}) < max(2, len(runs)):
        raise InputError("give at least two different runs", hint="`harness runs STUDY` lists them")
    findings = []
    for run in runs:
        restored = restored_run(store, run)
        if restored.note:
            output.note(restored.note)
        part = restored.parts[[one.id for one in restored.runs].index(run.id)]
        with declared(part.study.records):
            findings.append(report_input(store, part, run))
    return compare_runs(runs, findings)


def _print(comparison: RunComparison, output: CommandOutput) -> None:
    names = [run.name for run in comparison.runs]
    runs = [{**asdict(run), "": run.name, "planted bug": run.plant} for run in comparison.runs]
    planted = ["planted bug"] if any(run.plant for run in comparison.runs) else []
    output.table(runs, ["", "run", "study", "scale", "date", "device", "progress", *planted])
    output.line("")
    output.line("What differs:" if comparison.differences else "Nothing that was recorded differs.")
    if comparison.differences:
        rows = (
            {"of": one.kind, "what": one.path, **dict(zip(names, map(_short, one.values), strict=True))}
            for one in comparison.differences
        )
        output.table(rows, ["of", "what", *names])
    output.line("")
    for line in comparison.not_comparable:
        output.line(f"Not comparable: {line}")
    output.line(comparison.note)
    if comparison.effects:
        output.line("")
        effects = (
            {"metric": row.metric, "condition": row.condition, "arm": row.arm, **_cells(names, row.cells)}
            for row in comparison.effects
        )
        output.table(effects, ["metric", "condition", "arm", *_columns(names)])
    if comparison.claims:
        output.line("")
        claims = ({"claim": row.claim, **_cells(names, row.cells)} for row in comparison.claims)
        output.table(claims, ["claim", *_columns(names)])


def _short(value: str) -> str:
    """The value, or the beginning of a digest."""
    return f"{value[:12]}…" if _DIGEST.fullmatch(value) else value


def _columns(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        yield from (name, f"{name} interval", f"{name} verdict")


def _cells(names: Sequence[str], cells: Sequence[Cell]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=True):
        row |= {name: cell.effect, f"{name} interval": cell.interval, f"{name} verdict": cell.verdict}
    return row
