"""The top of the page: the question, its answer, what was run, and every reason to doubt the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from harness.report.inputs import ReportInput
from harness.report.sections.answers import AnswerGroup, answer_groups, short_answer
from harness.report.sections.failures import failure_anchors
from harness.wording import count

MOST_ROOMY = 8
"""More rows than this fit on the first screen only if they are dense."""


@dataclass(frozen=True, kw_only=True)
class Banner:
    """`link` is the anchor of the section with the details, or empty."""

    title: str
    lines: tuple[str, ...]
    alarming: bool = True
    link: str = ""


@dataclass(frozen=True, kw_only=True)
class PartView:
    """One part of the study, or the study itself if it has no parts. `short` is the answer in a few words,
    and `facts` are joined into one line.
    """

    name: str
    anchor: str
    answer: str
    short: str
    groups: tuple[AnswerGroup, ...]
    facts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class HeadlineView:
    """`banners` are alarms, `warnings` are not. If the study has parts, each begins with the name of its
    part. The legend depends on whether any row has an axis, and whether any marks a claimed figure. The rows
    are `dense` if they are many.
    """

    study: str
    question: str
    parts: tuple[PartView, ...]
    banners: tuple[Banner, ...]
    warnings: tuple[str, ...]
    has_axis: bool
    has_claimed: bool
    dense: bool


def headline_view(parts: Sequence[ReportInput]) -> HeadlineView:
    first = parts[0].loaded
    named = [(f"{part.loaded.part}: " if part.loaded.part else "", part) for part in parts]
    views = tuple(_part(part) for part in parts)
    rows = [row for view in views for group in view.groups for row in group.rows]
    strips = [row.strip for row in rows if row.strip]
    return HeadlineView(
        study=first.name,
        question=first.study.question,
        parts=views,
        has_axis=bool(strips),
        has_claimed=any(strip.claimed is not None for strip in strips),
        dense=len(rows) > MOST_ROOMY,
        banners=_shared_banners(parts),
        warnings=tuple(name + warning for name, part in named for warning in _warnings(part)),
    )


def _shared_banners(parts: Sequence[ReportInput]) -> tuple[Banner, ...]:
    """Every banner once, with the names of all parts that it is about."""
    about: dict[Banner, list[str]] = {}
    for part in parts:
        for banner in _banners(part):
            about.setdefault(banner, []).append(part.loaded.part)
    return tuple(
        replace(banner, title=f"{', '.join(names)}: {banner.title}") if any(names) else banner
        for banner, names in about.items()
    )


def _warnings(report: ReportInput) -> tuple[str, ...]:
    noise = (f"the machine was disturbed: {disturbance}" for disturbance in report.disturbances)
    return (*report.analysis.warnings, *noise)


def _part(report: ReportInput) -> PartView:
    study, run = report.loaded.study, report.run
    size = (
        (len(report.loaded.arms), "arm"),
        (len(report.loaded.conditions), "condition"),
        (study.design.seeds, "seed"),
        (study.design.rounds, "round"),
    )
    facts = [
        f"scale {run.scale}",
        " × ".join(count(number, noun) for number, noun in size),
        f"{run.finished_trials} of {run.expected_trials} trials finished",
        *([f"{run.superseded_trials} superseded"] if run.superseded_trials else []),
        count(run.sessions, "session"),
        datetime.fromisoformat(run.created_at).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        f"run {run.id}",
        *_declared(report),
    ]
    return PartView(
        name=report.loaded.part,
        anchor=report.anchor(),
        answer=report.analysis.answer or "There is no answer yet, because nothing was compared.",
        short=short_answer(report),
        groups=answer_groups(report),
        facts=tuple(facts),
    )


def _declared(report: ReportInput) -> list[str]:
    """When all of this was declared, and whether the run had measured anything before."""
    history = report.history
    if history.declaration is None:
        return []
    last, when = history.declaration.after_attempt, history.declaration.declared_at[:16].replace("T", " ")
    before = sum(trial.purpose == "measure" and trial.id <= last for trial in report.trials)
    data = f"after {count(before, 'measurement')} of this run" if before else "before its data"
    changed = "" if history.declared_as_judged else ", and changed since then"
    return [f"declared {when} UTC {data}{changed} ({history.declaration.digest})"]


def _banners(report: ReportInput) -> list[Banner]:
    run, banners = report.run, list[Banner]()
    if run.plant is not None:
        text = (
            "This bug was planted on purpose, to test whether the invariants find it. "
            "No number on this page describes the real code."
        )
        banners.append(Banner(title=f"Planted bug: {run.plant}", lines=(text,)))
    if report.analysis.invalid:
        reasons = tuple(
            f"{report.loaded.label(arm)}: {reason}" for arm, reason in report.analysis.invalid.items()
        )
        banners.append(Banner(title=f"Invalid: {count(len(reasons), 'arm')}", lines=reasons))
    if run.finished_trials < run.expected_trials or run.failed:
        missing = run.expected_trials - run.finished_trials
        title = (
            f"Incomplete: {missing} of {run.expected_trials} trials did not finish"
            if missing > 0
            else "Trials failed"
        )
        link = report.anchor("failures") if failure_anchors(report) else ""
        banners.append(Banner(title=title, lines=tuple(run.failed), link=link))
    lines = tuple(report.history.summaries)
    if lines:
        link = report.anchor("former")
        banners.append(Banner(title="Earlier verdicts", lines=lines, alarming=False, link=link))
    if report.loaded.study.design.exploratory:
        text = "This design cannot decide anything. Effects are shown without a verdict."
        banners.append(Banner(title="Exploratory", lines=(text,), alarming=False))
    return banners
