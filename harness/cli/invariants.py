"""`harness invariants`: check the invariants, and whether they detect their planted bugs."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from harness.cli.console import CommandOutput
from harness.errors import InvalidError
from harness.invariants.registry import INVARIANTS, find_invariant
from harness.invariants.support.kill_matrix import Kill, Matrix, kill_matrix


def show_invariants(names: list[str] | None, output: CommandOutput, *, mutants: bool) -> None:
    """Check the named invariants, or all of them; with `mutants`, also plant each of their bugs. Other
    programs may read the JSON.

    Raises InvalidError, after everything has been printed, if an invariant fails or misses a bug.
    """
    with output.progress() as progress:
        begun = False

        def done(count: int, total: int) -> None:
            nonlocal begun
            if not begun:
                progress.begin("checking invariants" + (" and planting bugs" if mutants else ""), total)
                begun = True
            progress.advance(count)

        matrix = kill_matrix(names or list(INVARIANTS), plant_bugs=mutants, done=done)
    if output.json:
        output.data(_data(matrix, mutants=mutants))
    else:
        output.table(
            _invariant_rows(matrix),
            ["invariant", "result", "must_be_equal", "worst", "tolerance", "in", "compared", "seconds"],
        )
        if mutants:
            output.table(_bug_rows(matrix), ["bug", "result", "what_it_does", "found_by", "seconds"])
    _raise_problems(matrix)


def _raise_problems(matrix: Matrix) -> None:
    problems = [
        f"{len(bad)} of {len(total)} {what}: {', '.join(bad)}"
        for bad, total, what in (
            (matrix.broken, matrix.examined, "invariants fail"),
            (matrix.survivors, matrix.kills, "planted bugs were not detected"),
        )
        if bad
    ]
    if problems:
        raise InvalidError("; ".join(problems))


def _invariant_rows(matrix: Matrix) -> list[dict[str, Any]]:
    return [
        {
            "invariant": examined.invariant,
            "result": "pass" if examined.holds else f"FAIL ({examined.failed} of {examined.checks} checks)",
            "must_be_equal": find_invariant(examined.invariant).statement,
            "worst": f"{examined.worst.deviation:.2g}",
            "tolerance": f"{examined.worst.tolerance:.2g}",
            "in": f"{examined.worst.precision}, {examined.worst.case}"
            + (f": {examined.worst.detail}" if examined.worst.detail else ""),
            "compared": f"{examined.compared:,}",
            "seconds": f"{examined.seconds:.1f}",
        }
        for examined in matrix.examined
    ]


def _bug_rows(matrix: Matrix) -> list[dict[str, Any]]:
    return [
        {
            "bug": f"{kill.invariant}/{kill.bug}",
            "result": "killed" if kill.killed else "SURVIVED",
            "what_it_does": _summary(kill.invariant, kill.bug),
            "found_by": _found_by(kill),
            "seconds": f"{kill.seconds:.1f}",
        }
        for kill in matrix.kills
    ]


def _found_by(kill: Kill) -> str:
    """The first check that failed, for each level unless it is the same for all of them."""
    if len(set(kill.first_failures.values())) == 1:
        return next(iter(kill.first_failures.values())) or "nothing"
    return "; ".join(f"{level}: {case or 'nothing'}" for level, case in kill.first_failures.items())


def _data(matrix: Matrix, *, mutants: bool) -> dict[str, Any]:
    rows = []
    for examined in matrix.examined:
        row, worst = asdict(examined), examined.worst.deviation
        row["statement"] = find_invariant(examined.invariant).statement
        row["holds"] = examined.holds
        row["worst"]["deviation"] = worst if math.isfinite(worst) else None
        rows.append(row)
    if not mutants:
        return {"invariants": rows}
    kills = [
        {
            "invariant": kill.invariant,
            "mutant": kill.bug,
            "found": kill.first_failures,
            "seconds": kill.seconds,
            "summary": _summary(kill.invariant, kill.bug),
            "killed": kill.killed,
        }
        for kill in matrix.kills
    ]
    return {
        "mutants": len(kills),
        "killed": len(kills) - len(matrix.survivors),
        "survivors": matrix.survivors,
        "invariants": rows,
        "kills": kills,
    }


def _summary(invariant: str, name: str) -> str:
    return find_invariant(invariant).planted_bug(name).summary
