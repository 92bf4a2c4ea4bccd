"""Parity: the work that each arm spent, beside the baseline's."""

from __future__ import annotations

from dataclasses import dataclass

from harness.analysis.results import ParityRow
from harness.report.inputs import ReportInput
from harness.report.sections.base import Section
from harness.report.words import Badge, condition_key, condition_title, number_text


@dataclass(frozen=True, kw_only=True)
class Spent:
    """`badge` is empty where the arm spent what the baseline did."""

    text: str
    baseline: str
    badge: Badge | None


@dataclass(frozen=True, kw_only=True)
class ParityArm:
    condition: str
    arm: str
    spent: tuple[Spent | None, ...]


@dataclass(frozen=True, kw_only=True)
class ParityView:
    quantities: tuple[str, ...]
    arms: tuple[ParityArm, ...]
    differing: int


_DECLARED = Badge(text="differs, declared", tone="same", mark="≠")
_CONFOUND = Badge(text="differs", tone="bad", mark="≠")


def parity_view(report: ReportInput) -> ParityView:
    rows = {(row.quantity, row.arm, condition_key(row.condition)): row for row in report.analysis.parity}
    quantities = tuple(dict.fromkeys(row.quantity for row in report.analysis.parity))
    arms = []
    for condition in report.loaded.conditions:
        for arm in report.loaded.arms:
            found = [rows.get((quantity, arm.name, condition_key(condition))) for quantity in quantities]
            if any(row is not None for row in found):
                spent = tuple(None if row is None else _spent(row) for row in found)
                arms.append(ParityArm(condition=condition_title(condition.names), arm=arm.name, spent=spent))
    differing = sum(not row.matches and not row.declared for row in report.analysis.parity)
    return ParityView(
        quantities=tuple(name.replace("_", " ") for name in quantities), arms=tuple(arms), differing=differing
    )


def _spent(row: ParityRow) -> Spent:
    difference = None if row.matches else _DECLARED if row.declared else _CONFOUND
    return Spent(text=number_text(row.spent), baseline=number_text(row.baseline_spent), badge=difference)


SECTION = Section(id="parity", title="What each arm spent", view=parity_view)
