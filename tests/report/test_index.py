"""The page about all studies, from made-up input."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from harness.report.index import (
    HEIGHT,
    WIDTH,
    EffectTrend,
    IndexClaim,
    IndexInput,
    IndexRun,
    IndexStudy,
    ReportLink,
    TrendPoint,
    index_view,
    render_index,
)
from tests.support.hostile_texts import HOSTILE_TEXTS

RUN = IndexRun(
    run="a-1",
    settings=(),
    part="",
    scale="cpu",
    device="Example 9000",
    date="2026-01-02T03:04",
    claims=(
        IndexClaim(claim="fast", verdict="confirmed", reason="It is faster."),
        IndexClaim(claim="same", verdict="refuted", reason="It is not the same."),
    ),
)
LINK = ReportLink(file="kv+a=1.html", run="a-1", scale="cpu", date="2026-01-02T03:04", plant=None)


def point(effect: float, low: float | None, high: float | None, code: str = "c0de") -> TrendPoint:
    return TrendPoint(
        run="a-1",
        code=code,
        date="2026-01-02",
        verdict="confirmed",
        effect=effect,
        low=low,
        high=high,
        effect_text=f"{effect} ×",
        interval_text="–",
    )


def trend(*points: TrendPoint) -> EffectTrend:
    return EffectTrend(claim="fast", says="It is faster.", scale="cpu", device="Example 9000", points=points)


STUDY = IndexStudy(
    name="kv",
    question="Is it faster?",
    runs=(RUN,),
    reports=(LINK,),
    trend=trend(point(2, 1, 3), point(4, 3, 5)),
)
PAGE = IndexInput(studies=(STUDY,), ledger=(), unjudged=("late",))


def test_a_study_shows_its_question_its_verdicts_and_its_reports() -> None:
    page = render_index(PAGE)
    for text in ("Is it faster?", "✓</span> confirmed", "It is not the same.", 'href="kv%2Ba%3D1.html"'):
        assert text in page
    assert "harness report late" in page
    assert "planted bug" not in page
    planted = replace(STUDY, reports=(replace(LINK, plant="cache-parity/no-offset"),))
    assert "planted bug: cache-parity/no-offset" in render_index(replace(PAGE, studies=(planted,)))


def test_the_page_loads_nothing_and_is_the_same_again() -> None:
    page = render_index(PAGE)
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="(?!#|data:,|kv)[^"]*"', page) == []
    assert page == render_index(PAGE)


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_no_text_becomes_markup(text: str) -> None:
    claim = IndexClaim(claim=text, verdict="invalid", reason=text)
    run = replace(RUN, device=text, settings=(text,), claims=(claim,))
    link = replace(LINK, file=text, plant=text)
    hostile = replace(STUDY, name=text, question=text, runs=(run,), reports=(link,))
    plain, page = render_index(PAGE), render_index(replace(PAGE, studies=(hostile,), unjudged=(text,)))
    assert tags(page) <= tags(plain) | {"strong"}


def tags(page: str) -> set[str]:
    return set(re.findall(r"<([a-z0-9]+)", page))


@pytest.mark.parametrize(
    "points",
    [
        (point(2, 1, 3), point(4, 3, 5)),
        (point(2, -math.inf, math.inf), point(2, None, None)),
        (point(math.inf, 1, math.inf), point(0, 0, 0)),
        (point(math.nan, None, None), point(1e300, 1, 1e300)),
    ],
)
def test_every_mark_of_a_trend_lies_in_the_picture(points: tuple[TrendPoint, ...]) -> None:
    (study,) = index_view(replace(PAGE, studies=(replace(STUDY, trend=trend(*points)),))).studies
    assert study.trend is not None
    for mark in study.trend.marks:
        assert 0 <= float(mark.x) <= WIDTH
        assert 0 <= float(mark.top) <= float(mark.y) <= float(mark.bottom) <= HEIGHT


def test_larger_effects_are_higher_and_the_same_code_is_said() -> None:
    points = (point(1, 1, 1, "a"), point(2, 2, 2, "a"), point(3, 3, 3, "b"))
    (study,) = index_view(replace(PAGE, studies=(replace(STUDY, trend=trend(*points)),))).studies
    assert study.trend is not None
    heights = [float(mark.y) for mark in study.trend.marks]
    assert heights == sorted(heights, reverse=True)
    assert [new for _, _, new in study.trend.rows] == [True, False, True]
