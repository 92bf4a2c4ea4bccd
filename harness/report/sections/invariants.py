"""The invariants that were checked before anything was timed, and how close the worst case came to its
tolerance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.report.inputs import ReportInput
from harness.report.labels import ArmName, Badge, arm_name, badge
from harness.store.rows import CheckRow
from harness.wording import count


@dataclass(frozen=True, kw_only=True)
class CheckView:
    badge: Badge
    deviation: str
    tolerance: str
    row: CheckRow


@dataclass(frozen=True, kw_only=True)
class Group:
    """The checks of one invariant on one arm.

    `worst` is the check nearest to, or furthest beyond, its tolerance.
    """

    invariant: str
    arm: ArmName
    badge: Badge
    worst: CheckView
    cases: int
    failed: int
    compared: int
    skipped: int
    checks: tuple[CheckView, ...]


@dataclass(frozen=True, kw_only=True)
class InvariantsView:
    """`unchecked` lists declared invariants that have no check at all."""

    declared: tuple[str, ...]
    groups: tuple[Group, ...]
    unchecked: tuple[str, ...]


def summary(view: InvariantsView) -> str:
    """How many checks were made, and how many of them failed."""
    if not view.groups:
        return "none was checked" if view.declared else "none declared"
    cases, failed = (sum(group.cases for group in view.groups), sum(group.failed for group in view.groups))
    names = ", ".join(dict.fromkeys(group.invariant for group in view.groups))
    unchecked = "".join(f"; {name} was never checked" for name in view.unchecked)
    return f"{names}: {count(cases, 'check')}, {f'{failed:,}' if failed else 'none'} failed{unchecked}"


def invariants_view(report: ReportInput) -> InvariantsView:
    declared = report.loaded.study.invariants
    grouped: dict[tuple[str, str], list[CheckRow]] = {}
    for check in report.analysis.checks:
        grouped.setdefault((check.invariant, check.arm), []).append(check)
    positions = {arm.name: position for position, arm in enumerate(report.loaded.arms)}
    order = sorted(grouped, key=lambda key: (key[0], positions.get(key[1], len(positions)), key[1]))
    checked = {invariant for invariant, _ in grouped}
    return InvariantsView(
        declared=declared,
        groups=tuple(
            _group(invariant, arm_name(report.loaded, arm), grouped[invariant, arm])
            for invariant, arm in order
        ),
        unchecked=tuple(invariant for invariant in declared if invariant not in checked),
    )


def severity(check: CheckRow) -> tuple[bool, float]:
    """The sort key of a check: failed checks are worse than passed ones, then a larger deviation ÷ tolerance
    is worse, and NaN is the worst.
    """
    if math.isnan(check.deviation):
        return not check.passed, math.inf
    if check.tolerance == 0:
        return not check.passed, math.inf if check.deviation else 0.0
    return not check.passed, check.deviation / check.tolerance


def _group(invariant: str, arm: ArmName, checks: list[CheckRow]) -> Group:
    failed = sum(not check.passed for check in checks)
    return Group(
        invariant=invariant,
        arm=arm,
        badge=badge("failed" if failed else "passed"),
        worst=_view(max(checks, key=severity)),
        cases=len(checks),
        failed=failed,
        compared=sum(check.compared for check in checks),
        skipped=sum(check.skipped for check in checks),
        checks=tuple(_view(check) for check in checks),
    )


def _view(check: CheckRow) -> CheckView:
    return CheckView(
        badge=badge("passed" if check.passed else "failed"),
        deviation=f"{check.deviation:.2g}",
        tolerance=f"{check.tolerance:.2g}",
        row=check,
    )
