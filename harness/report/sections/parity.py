"""Parity: the work that each arm spent, beside the work of the baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.analysis.results import ParityRow
from harness.analysis.validity.work import FLOPS, MEASURED, SECONDS
from harness.report.inputs import ReportInput
from harness.report.labels import (
    ArmName,
    Badge,
    arm_name,
    condition_key,
    condition_title,
)
from harness.tasks.work import Amount, amount_text
from harness.wording import format_seconds, full_text, precise_text, ratio_text, words


@dataclass(frozen=True, kw_only=True)
class Spent:
    """`ratio` to the baseline is empty if the arm spent the same amount. `badge` marks a difference. `value`
    is the amount at full precision.
    """

    text: str
    value: str
    baseline: str
    ratio: str
    badge: Badge | None


@dataclass(frozen=True, kw_only=True)
class ParityArm:
    condition: str
    arm: ArmName
    same: bool
    spent: tuple[Spent | None, ...]


@dataclass(frozen=True, kw_only=True)
class ParityView:
    quantities: tuple[str, ...]
    arms: tuple[ParityArm, ...]
    differing: int
    unmatched: str


_DECLARED = Badge(text="differs (declared)", tone="same", mark="≠")
_CONFOUND = Badge(text="differs", tone="bad", mark="≠")
_WRITE: dict[str, Callable[[float], str]] = {SECONDS: format_seconds, FLOPS: "{:.3g}".format}


def _written(quantity: str, amount: Amount) -> str:
    if isinstance(amount, str):
        return amount_text(amount)
    return _WRITE.get(quantity, precise_text)(amount)


def summary(view: ParityView) -> str:
    """Whether all arms did the same work."""
    if not view.arms:
        return "no trial counted its work"
    if view.differing:
        return f"{view.differing:,} undeclared differences from the baseline"
    return "every arm did the work of the baseline, except for declared differences"


def parity_view(report: ReportInput) -> ParityView:
    rows = {(row.quantity, row.arm, condition_key(row.condition)): row for row in report.analysis.parity}
    quantities = tuple(dict.fromkeys(row.quantity for row in report.analysis.parity))
    arms = []
    for condition in report.loaded.conditions:
        for arm in report.loaded.arms:
            cells = [rows.get((quantity, arm.name, condition_key(condition))) for quantity in quantities]
            if any(row is not None for row in cells):
                spent = tuple(None if row is None else _spent(row) for row in cells)
                arms.append(
                    ParityArm(
                        condition=condition_title(report.loaded, condition.names),
                        arm=arm_name(report.loaded, arm.name),
                        same=all(row is None or row.spent == row.baseline_spent for row in cells),
                        spent=spent,
                    )
                )
    differing = sum(row.confounds for row in report.analysis.parity)
    return ParityView(
        quantities=tuple(words(name) for name in quantities),
        arms=tuple(arms),
        differing=differing,
        unmatched=_unmatched(report),
    )


def _unmatched(report: ReportInput) -> str:
    """A sentence on the quantities that are shown but do not have to match."""
    titles = {FLOPS: "FLOPs", SECONDS: "seconds"}
    names = [titles[name] for name in MEASURED if name not in report.loaded.study.parity.match]
    if not names:
        return "All quantities must match."
    return f"The {' and '.join(names)} do not have to match."


def _spent(row: ParityRow) -> Spent:
    badge = None if row.matches or not row.enforced else _DECLARED if row.declared else _CONFOUND
    same = row.spent == row.baseline_spent
    ratio = ""
    if not same and isinstance(row.spent, int | float) and isinstance(row.baseline_spent, int | float):
        ratio = ratio_text(row.spent / row.baseline_spent) if row.baseline_spent else ""
    return Spent(
        text=_written(row.quantity, row.spent),
        value=full_text(row.spent)
        if isinstance(row.spent, int | float)
        else _written(row.quantity, row.spent),
        baseline=_written(row.quantity, row.baseline_spent),
        ratio=ratio,
        badge=badge,
    )
