"""Differences of environment: between the sessions of a run, and between the run and the former ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.report.inputs import ReportInput
from harness.report.sections.surroundings import different, flat
from harness.wording import count

MOST_COLUMNS = 6
MOST_FACTS = 100
_ALWAYS_DIFFERENT = ("started_at", "load")
"""Facts about a moment, which say nothing about the environment."""


@dataclass(frozen=True, kw_only=True)
class DifferenceTable:
    """A row for each fact that is not the same in all columns. `left_out` says what does not fit."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    left_out: str


@dataclass(frozen=True, kw_only=True)
class EnvironmentsView:
    tables: tuple[DifferenceTable, ...]


def summary(view: EnvironmentsView) -> str:
    """The number of facts that differ."""
    return f"{count(sum(len(table.rows) for table in view.tables), 'fact')} that differ"


def environments_view(report: ReportInput) -> EnvironmentsView | None:
    """None if all sessions and all former runs had the same environment."""
    sessions = _sessions(report)
    runs = [(f"this run, {report.run.id}", _facts_of_run(report.environment, report.run.code_digest))]
    runs += [
        (f"run {run.id}", _facts_of_run(run.environment, run.code_digest)) for run in reversed(report.former)
    ]
    tables = [
        *_table("Sessions of this run", sessions, "environments"),
        *_table("This run and the former ones", runs, "former runs"),
    ]
    return EnvironmentsView(tables=tuple(tables)) if tables else None


def _sessions(report: ReportInput) -> list[tuple[str, Mapping[str, str]]]:
    """The sessions that measured, as (title, facts). Those with the same facts are one column."""
    members: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for session in report.sessions:
        provenance = {
            name: text for name, text in session.provenance.items() if name not in _ALWAYS_DIFFERENT
        }
        members.setdefault(flat({"host": session.host, **provenance}), []).append(session.id)
    return [("session " + ", ".join(map(str, numbers)), dict(facts)) for facts, numbers in members.items()]


def _facts_of_run(environment: Mapping[str, object], code_digest: str) -> dict[str, str]:
    return dict(flat({"code": code_digest, **environment}))


def _table(title: str, columns: Sequence[tuple[str, Mapping[str, str]]], noun: str) -> list[DifferenceTable]:
    """The table, or nothing if all columns are equal."""
    shown = columns[:MOST_COLUMNS]
    rows = different([facts for _, facts in shown])
    if not rows:
        return []
    left_out = []
    if len(columns) > len(shown):
        left_out.append(f"{len(columns) - len(shown):,} more {noun}")
    if len(rows) > MOST_FACTS:
        left_out.append(count(len(rows) - MOST_FACTS, "more fact"))
    return [
        DifferenceTable(
            title=title,
            columns=tuple(name for name, _ in shown),
            rows=rows[:MOST_FACTS],
            left_out=" and ".join(left_out),
        )
    ]
