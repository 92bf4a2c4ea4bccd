"""Quality against cost. It belongs to the page, because the two are measured in different parts of
a study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.metrics import metric
from harness.report.inputs import ReportInput
from harness.report.plots.svg import inline_svg
from harness.report.plots.tradeoff import Effect, Tradeoff, better_side, draw_tradeoff, tradeoffs
from harness.wording import effect_text, interval_text, n_text

ANCHOR = "tradeoff"


@dataclass(frozen=True, kw_only=True)
class Row:
    """`effects` has one (effect, interval) per metric. `dominated_by` names other arms; it is empty on the
    Pareto front.
    """

    arm: str
    effects: tuple[tuple[str, str], ...]
    dominated_by: str


@dataclass(frozen=True, kw_only=True)
class Block:
    """The arms under one condition; `summary` names those that are dominated."""

    summary: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class TradeoffView:
    """One score against its costs. `panels` are SVG elements, one per condition and cost. `columns` are the
    metrics of the rows.
    """

    anchor: str
    title: str
    caption: str
    panels: tuple[Markup, ...]
    columns: tuple[str, ...]
    blocks: tuple[Block, ...]


def tradeoff_views(parts: Sequence[ReportInput]) -> tuple[TradeoffView, ...]:
    """One view for each pair of parts that share their arms."""
    pairs: dict[tuple[str, str], list[Tradeoff]] = {}
    for info in tradeoffs(parts):
        pairs.setdefault(info.parts, []).append(info)
    return tuple(
        _view(infos, ANCHOR if number == 1 else f"{ANCHOR}-{number}")
        for number, infos in enumerate(pairs.values(), start=1)
    )


def _view(infos: Sequence[Tradeoff], anchor: str) -> TradeoffView:
    """The view of one pair of parts, under every condition of the part that measures costs."""
    names = [infos[0].quality, *dict.fromkeys(cost for info in infos for cost in info.costs)]
    labels = [metric(name).label for name in names]
    numbers = (e.n for info in infos for point in info.points for e in point.effects.values() if e.n)
    caption = (
        "Effects compared with the baseline, with the intervals of their verdicts in both directions; "
        f"{_better(names)}. "
        "A grey cross marks a dominated arm: another arm is at least as good in "
        f"{', '.join(labels)}, wherever the true values lie in their intervals."
        f"{n_text(numbers, 'pair')}"
    )
    return TradeoffView(
        anchor=anchor,
        title=f"{labels[0]} against {' and '.join(labels[1:])}",
        caption=caption,
        panels=tuple(
            inline_svg(
                draw_tradeoff(info, cost),
                name=f"{anchor}-{number}-{panel}",
                title=(
                    f"{labels[0]} against {metric(cost).label}: {info.where}, "
                    f"{better_side(info, cost)} is better"
                ),
                description=caption,
            )
            for number, info in enumerate(infos, start=1)
            for panel, cost in enumerate(info.costs, start=1)
        ),
        columns=tuple(labels),
        blocks=tuple(Block(summary=_summary(info), rows=tuple(_rows(info, names))) for info in infos),
    )


def _better(names: Sequence[str]) -> str:
    """`higher bleu, lower sentence seconds are better`."""
    return f"{', '.join(f'{metric(name).better} {metric(name).label}' for name in names)} are better"


def _rows(info: Tradeoff, names: Sequence[str]) -> list[Row]:
    return [
        Row(
            arm=point.label,
            effects=tuple(_texts(name, point.effects.get(name)) for name in names),
            dominated_by=", ".join(info.front.dominated.get(point.label, ())),
        )
        for point in info.points
    ]


def _texts(name: str, effect: Effect | None) -> tuple[str, str]:
    if effect is None:
        return "–", ""
    low, high, compared_by = effect.ends.low, effect.ends.high, metric(name).compared_by
    interval = "" if low == high else interval_text(low, high, compared_by)
    return effect_text(effect.value, compared_by), interval


def _summary(info: Tradeoff) -> str:
    where = info.where
    beaten = ", ".join(info.front.dominated)
    return f"{where} (dominated: {beaten})" if beaten else f"{where} (no arm is dominated)"
