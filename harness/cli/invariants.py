"""`harness invariants`: what must hold, whether it does, and whether the planted bugs are found."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.cli.console import Output
from harness.errors import InvalidError

if TYPE_CHECKING:
    from harness.invariants.support.kill_matrix import Kill, Matrix


def show_invariants(names: list[str] | None, output: Output, *, mutants: bool) -> None:
    """Check all invariants, or those named, and with `mutants` plant every bug of theirs. The JSON is a
    contract.

    Raises InvalidError where an invariant fails or a bug survives, after everything has been printed.
    """
    from harness.invariants.registry import INVARIANTS
    from harness.invariants.support.kill_matrix import kill_matrix

    with output.progress() as progress:
        begun = False

        def done(count: int, total: int) -> None:
            nonlocal begun
            if not begun:
                progress.begin("checking invariants" + (" and planting bugs" if mutants else ""), total)
                begun = True
            progress.advance(count)

        matrix = kill_matrix(names or list(INVARIANTS), mutants=mutants, done=done)
    if output.json:
        output.data(_contract(matrix, mutants=mutants))
    else:
        output.table(
            _invariant_rows(matrix),
            ["invariant", "result", "must_be_equal", "worst", "tolerance", "in", "compared", "seconds"],
        )
        if mutants:
            output.table(_mutant_rows(matrix), ["bug", "result", "what_it_does", "found_by", "seconds"])
    _judge(matrix)


def _judge(matrix: Matrix) -> None:
    problems = []
    if matrix.broken:
        problems.append(
            f"{len(matrix.broken)} of {len(matrix.examined)} invariants fail: {', '.join(matrix.broken)}"
        )
    if matrix.survivors:
        problems.append(
            f"{len(matrix.survivors)} of {len(matrix.kills)} planted bugs survive: {', '.join(matrix.survivors)}"
        )
    if problems:
        raise InvalidError("; ".join(problems))


def _invariant_rows(matrix: Matrix) -> list[dict[str, Any]]:
    from harness.invariants.registry import find_invariant

    return [
        {
            "invariant": each.invariant,
            "result": "pass" if each.holds else f"FAIL ({each.failed} of {each.checks} checks)",
            "must_be_equal": find_invariant(each.invariant).statement,
            "worst": f"{each.worst.deviation:.2g}",
            "tolerance": f"{each.worst.tolerance:.2g}",
            "in": f"{each.worst.precision}, {each.worst.case}"
            + (f": {each.worst.detail}" if each.worst.detail else ""),
            "compared": f"{each.compared:,}",
            "seconds": f"{each.seconds:.1f}",
        }
        for each in matrix.examined
    ]


def _mutant_rows(matrix: Matrix) -> list[dict[str, Any]]:
    return [
        {
            "bug": f"{kill.invariant}/{kill.mutant}",
            "result": "killed" if kill.killed else "SURVIVED",
            "what_it_does": _summary(kill.invariant, kill.mutant),
            "found_by": _found_by(kill),
            "seconds": f"{kill.seconds:.1f}",
        }
        for kill in matrix.kills
    ]


def _found_by(kill: Kill) -> str:
    """The first check that failed, told once where it is the same at every level."""
    if len(set(kill.found.values())) == 1:
        return next(iter(kill.found.values())) or "nothing"
    return "; ".join(f"{level}: {case or 'nothing'}" for level, case in kill.found.items())


def _contract(matrix: Matrix, *, mutants: bool) -> dict[str, Any]:
    from harness.invariants.registry import find_invariant

    examined = [
        {
            **asdict(each),
            "statement": find_invariant(each.invariant).statement,
            "holds": each.holds,
            "worst": {
                **asdict(each.worst),
                "deviation": each.worst.deviation if math.isfinite(each.worst.deviation) else None,
            },
        }
        for each in matrix.examined
    ]
    if not mutants:
        return {"invariants": examined}
    kills = [
        {**asdict(kill), "summary": _summary(kill.invariant, kill.mutant), "killed": kill.killed}
        for kill in matrix.kills
    ]
    return {
        "mutants": len(kills),
        "killed": len(kills) - len(matrix.survivors),
        "survivors": matrix.survivors,
        "invariants": examined,
        "kills": kills,
    }


def _summary(invariant: str, mutant: str) -> str:
    from harness.invariants.registry import find_invariant

    return next(each.summary for each in find_invariant(invariant).mutants if each.name == mutant)
