"""The answers of one part on the first screen: a row per claim with its verdict and its effect on an axis. A
study without claims has a row per contrast of its primary metric.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.analysis.results import ClaimAxis, Contrast, SettledClaim
from harness.report.inputs import ReportInput
from harness.report.labels import Badge, badge, metric_of
from harness.report.plots.strip import Axis, DrawnEffect, Strip, axis_of
from harness.wording import effect_text, interval_text

MOST_CONTRASTS = 6
"""The number of contrasts that are shown at once; the others are folded."""

NOT_SHOWN = ("", "–")


@dataclass(frozen=True, kw_only=True)
class AnswerRow:
    """`anchor` leads to the details. `notes` are short texts below the effect."""

    anchor: str
    badge: Badge
    says: str
    effect: str
    notes: tuple[str, ...]
    strip: Strip | None


@dataclass(frozen=True, kw_only=True)
class AnswerGroup:
    """Rows that share an axis. Without an axis the rows have no strip. `folded` are further rows on the same
    axis.
    """

    title: str
    axis: Axis | None
    rows: tuple[AnswerRow, ...]
    folded: tuple[AnswerRow, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """A row before its axis is known. Rows with equal `on` share an axis."""

    row: AnswerRow
    effect: DrawnEffect | None = None
    on: ClaimAxis | None = None

    @property
    def shared(self) -> tuple[str, str] | None:
        """The axis: one for all ratios, and one for the differences of each quantity."""
        if self.on is None or self.effect is None or not math.isfinite(self.effect.effect):
            return None
        return self.on.compared_by, "" if self.on.compared_by == "ratios" else self.on.quantity


def answer_groups(report: ReportInput) -> tuple[AnswerGroup, ...]:
    """The claims, or else the contrasts of the primary metric, by their axis."""
    if claims := [_of_claim(report, *numbered) for numbered in enumerate(report.analysis.claims, start=1)]:
        return tuple(_grouped(claims, most=len(claims)))
    return tuple(_grouped(list(_of_contrasts(report)), most=MOST_CONTRASTS))


def short_answer(report: ReportInput) -> str:
    """The number of claims, or else of contrasts of the primary metric, with each verdict."""
    analysis = report.analysis
    if analysis.claims:
        return _counted(claim.verdict for claim in analysis.claims)
    if verdicts := _counted(contrast.verdict for contrast in _primary(report)):
        return "exploratory, no verdicts" if report.loaded.study.design.exploratory else verdicts
    return "no verdict yet"


def _counted(verdicts: Iterable[str]) -> str:
    return ", ".join(f"{number} {verdict}" for verdict, number in Counter(verdicts).most_common())


def _primary(report: ReportInput) -> list[Contrast]:
    return [one for one in report.analysis.contrasts if one.metric == report.loaded.study.primary]


def _grouped(drawn: list[_Drawn], *, most: int) -> Iterator[AnswerGroup]:
    """Rows that share an axis together: first those with an axis, in the order of their first row."""
    shared = dict.fromkeys(one.shared for one in drawn)
    for key in sorted(shared, key=lambda key: key is None):
        rows = [one for one in drawn if one.shared == key]
        effects = [one.effect for one in rows if one.effect is not None]
        axis = axis_of(effects, rows[0].on.compared_by) if key and rows[0].on else None
        done = tuple(_on(axis, one) for one in rows)
        title = "" if axis is None or rows[0].on is None else _title(axis, rows)
        yield AnswerGroup(title=title, axis=axis, rows=done[:most], folded=done[most:])


def _on(axis: Axis | None, one: _Drawn) -> AnswerRow:
    strip = axis.strip(one.effect) if axis is not None and one.effect is not None else None
    row = one.row
    return AnswerRow(
        anchor=row.anchor, badge=row.badge, says=row.says, effect=row.effect, notes=row.notes, strip=strip
    )


def _title(axis: Axis, rows: list[_Drawn]) -> str:
    """What the numbers of an axis are."""
    quantities = dict.fromkeys(one.on.quantity for one in rows if one.on is not None)
    what = next(iter(quantities)) if len(quantities) == 1 else ""
    if axis.compared_by == "differences":
        return f"{what}, difference"
    return f"{what}, ratio" if what else "ratio; 1 is no difference"


def _of_claim(report: ReportInput, number: int, claim: SettledClaim) -> _Drawn:
    numbers, axis = claim.numbers, claim.axis
    effect, interval = claim.effect, claim.interval
    if axis is not None and claim.decisive and numbers.effect is not None:
        low, high = (math.nan if end is None else end for end in (numbers.low, numbers.high))
        effect = f"{effect_text(numbers.effect, axis.compared_by)} ({claim.decisive})"
        interval = interval_text(low, high, axis.compared_by)
    claimed = "" if claim.claimed in NOT_SHOWN else f"claimed: {claim.claimed}"
    row = AnswerRow(
        anchor=report.anchor("claim", number, claim.id),
        badge=badge(claim.verdict),
        says=claim.says,
        effect="" if effect in NOT_SHOWN else effect,
        notes=tuple(note for note in (interval, claimed) if note not in NOT_SHOWN),
        strip=None,
    )
    if axis is None or numbers.effect is None:
        return _Drawn(row=row)
    low, high = (math.nan if end is None else end for end in (numbers.low, numbers.high))
    drawn = DrawnEffect(
        effect=numbers.effect,
        low=low,
        high=high,
        margin=axis.margin,
        claimed=numbers.claimed,
        region=axis.region,
    )
    return _Drawn(row=row, effect=drawn, on=axis)


def _of_contrasts(report: ReportInput) -> Iterator[_Drawn]:
    conditions = report.loaded.conditions
    blocks = {str(condition.names): number for number, condition in enumerate(conditions, start=1)}
    for one in _primary(report):
        record = metric_of(one.metric)
        number = blocks.get(str(one.condition), 1)
        row = AnswerRow(
            anchor=report.anchor("comparison", number),
            badge=badge(one.verdict),
            says=f"{report.loaded.label(one.arm)}{report.loaded.at(one.condition)}",
            effect=effect_text(one.effect, record.compared_by),
            notes=(interval_text(one.low, one.high, record.compared_by),),
            strip=None,
        )
        drawn = DrawnEffect(effect=one.effect, low=one.low, high=one.high, margin=one.margin)
        axis = ClaimAxis(compared_by=record.compared_by, quantity=record.label, margin=one.margin)
        yield _Drawn(row=row, effect=drawn, on=axis)
