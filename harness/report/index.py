"""The page about all studies: the last verdicts of each, links to the reports, the trend of the primary
effect over runs, and the ledger of claims.

Everything on it comes from the verdicts in the store. Nothing is analysed again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from markupsafe import Markup

from harness.report.build import render_template
from harness.report.claims_ledger import LedgerEntry
from harness.report.labels import Badge, anchor, badge
from harness.study.sources import citation
from harness.wording import count, number_text

INDEX_MARK = '<meta name="harness-page" content="all studies">'
"""By this line the page is recognised."""

WIDTH, HEIGHT, EDGE = 640.0, 110.0, 12.0
"""The size of the picture of a trend, and its margin at each side."""


@dataclass(frozen=True, kw_only=True)
class IndexClaim:
    """The last verdict on a claim in a run, with the sentence that explains it."""

    claim: str
    verdict: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class IndexRun:
    """The newest run of a study, or of one of its parts, at a scale on a device, with its verdicts.
    `settings` are those of `--set`.
    """

    run: str
    settings: tuple[str, ...]
    part: str
    scale: str
    device: str
    date: str
    claims: tuple[IndexClaim, ...]


@dataclass(frozen=True, kw_only=True)
class ReportLink:
    """The file of a report beside the page, and the run that it is about."""

    file: str
    run: str
    scale: str
    date: str
    plant: str | None

    @property
    def address(self) -> str:
        """The file as a link beside the page."""
        return quote(self.file, errors="surrogatepass")


@dataclass(frozen=True, kw_only=True)
class TrendPoint:
    """The effect of one run on a claim. The ends of its interval may be infinite or missing."""

    run: str
    code: str
    date: str
    verdict: str
    effect: float
    low: float | None
    high: float | None
    effect_text: str
    interval_text: str


@dataclass(frozen=True, kw_only=True)
class EffectTrend:
    """The effects of runs that measured the same at one scale on one device, the oldest first."""

    claim: str
    says: str
    scale: str
    device: str
    points: tuple[TrendPoint, ...]


@dataclass(frozen=True, kw_only=True)
class IndexStudy:
    """A study with everything that the page says about it."""

    name: str
    question: str
    runs: tuple[IndexRun, ...]
    reports: tuple[ReportLink, ...]
    trend: EffectTrend | None


@dataclass(frozen=True, kw_only=True)
class IndexInput:
    """The studies by name, and the ledger of claims. `unjudged` are studies whose newest run has no
    verdicts.
    """

    studies: tuple[IndexStudy, ...]
    ledger: tuple[LedgerEntry, ...]
    unjudged: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A point of a trend in the picture: its centre, and the ends of its interval."""

    x: str
    y: str
    top: str
    bottom: str
    tone: str


@dataclass(frozen=True, kw_only=True)
class TrendView:
    """`highest` and `lowest` label the scale of the picture. `rows` has a point per run, its badge, and
    whether its code is another than that of the run before it.
    """

    title: str
    marks: tuple[Mark, ...]
    highest: str
    lowest: str
    rows: tuple[tuple[TrendPoint, Badge, bool], ...]

    @property
    def path(self) -> str:
        """The line from each mark to the next."""
        return " ".join(f"{mark.x},{mark.y}" for mark in self.marks)


@dataclass(frozen=True, kw_only=True)
class StudyView:
    """One study. `answers` has each run with its claims and their badges."""

    study: IndexStudy
    anchor: str
    answers: tuple[tuple[IndexRun, str, tuple[tuple[IndexClaim, Badge], ...]], ...]
    trend: TrendView | None


@dataclass(frozen=True, kw_only=True)
class IndexView:
    """The page. `ledger` has each claim with its source in words and its badge."""

    summary: str
    studies: tuple[StudyView, ...]
    ledger: tuple[tuple[LedgerEntry, str, Badge], ...]
    unjudged: tuple[str, ...]


def render_index(given: IndexInput) -> str:
    """The page. It is the same for the same input, runs no script and loads nothing."""
    return render_template(
        "index.html.j2", view=index_view(given), size=(WIDTH, HEIGHT), mark=Markup(INDEX_MARK)
    )


def index_view(given: IndexInput) -> IndexView:
    verdicts = [entry.verdict for entry in given.ledger]
    counts = [f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts)]
    summary = f"{_studies(len(given.studies))}, {count(len(given.ledger), 'claim')}"
    return IndexView(
        summary=f"{summary}: {', '.join(counts)}" if counts else summary,
        studies=tuple(map(_study_view, given.studies)),
        ledger=tuple((entry, citation(entry.source), badge(entry.verdict)) for entry in given.ledger),
        unjudged=given.unjudged,
    )


def _studies(number: int) -> str:
    return "1 study" if number == 1 else f"{number:,} studies"


def _study_view(study: IndexStudy) -> StudyView:
    return StudyView(
        study=study,
        anchor=anchor("study", study.name),
        answers=tuple((run, _title(run), _badges(run)) for run in study.runs),
        trend=None if study.trend is None else _trend_view(study.trend),
    )


def _title(run: IndexRun) -> str:
    part = f"Part {run.part}, scale" if run.part else "Scale"
    settings = f", with {', '.join(run.settings)}" if run.settings else ""
    return f"{part} {run.scale} on {run.device}, {run.date[:10]}{settings}"


def _badges(run: IndexRun) -> tuple[tuple[IndexClaim, Badge], ...]:
    return tuple((claim, badge(claim.verdict)) for claim in run.claims)


def _trend_view(trend: EffectTrend) -> TrendView:
    points = trend.points
    lowest, highest = _range(points)
    codes = [point.code for point in points]
    changed = [code != before for code, before in zip(codes, [None, *codes[:-1]], strict=True)]
    return TrendView(
        title=f"Trend of the claim {trend.claim} over {count(len(points), 'run')} "
        f"(scale {trend.scale}, {trend.device}, the same measurement)",
        marks=tuple(_marks(points, lowest, highest)),
        highest=number_text(highest),
        lowest=number_text(lowest),
        rows=tuple((point, badge(point.verdict), new) for point, new in zip(points, changed, strict=True)),
    )


def _range(points: Sequence[TrendPoint]) -> tuple[float, float]:
    """The smallest and the largest finite number of the points. They are never equal."""
    values = [value for point in points for value in (point.effect, point.low, point.high)]
    finite = [value for value in values if value is not None and math.isfinite(value)]
    lowest, highest = min(finite, default=0.0), max(finite, default=1.0)
    if highest > lowest:
        return lowest, highest
    room = abs(highest) * 0.1 or 1.0
    return lowest - room, highest + room


def _marks(points: Sequence[TrendPoint], lowest: float, highest: float) -> Iterator[Mark]:
    step = (WIDTH - 2 * EDGE) / max(1, len(points) - 1)

    def height(value: float | None, otherwise: float) -> str:
        known = otherwise if value is None or math.isnan(value) else min(max(value, lowest), highest)
        return f"{HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (known - lowest) / (highest - lowest):.1f}"

    for number, point in enumerate(points):
        middle = min(max(point.effect, lowest), highest) if not math.isnan(point.effect) else lowest
        yield Mark(
            x=f"{EDGE + number * step:.1f}",
            y=height(point.effect, lowest),
            top=height(point.high, middle),
            bottom=height(point.low, middle),
            tone=badge(point.verdict).tone,
        )
