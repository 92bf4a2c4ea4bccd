"""The attempts without a result that counts: failed, lost, interrupted or set aside, with their causes and
the end of their logs. Attempts with the same cause and message are one group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.report.inputs import ReportInput
from harness.report.labels import attempt_title
from harness.store.rows import AttemptState, TrialRow
from harness.trial.causes import Cause
from harness.visible import shortened
from harness.wording import count, format_seconds

MOST_GROUPS = 50
MOST_ATTEMPTS = 50
"""The largest number of attempts that are listed in a group."""
MOST_LOGS = 3
MOST_LOG_LINES = 40

STATES: dict[AttemptState, str] = {
    "failed": "failed",
    "lost": "lost",
    "interrupted": "interrupted",
    "superseded": "set aside",
}
_SET_ASIDE = "the harness or its user set the value aside, so it does not count"


@dataclass(frozen=True, kw_only=True)
class FailedAttempt:
    """`order` is its position among the attempts of the run, `outcome` what became of its trial."""

    anchor: str
    number: int
    title: str
    order: int
    attempt: int
    began: str
    took: str
    outcome: str


@dataclass(frozen=True, kw_only=True)
class FailureLog:
    """The last lines that an attempt wrote."""

    number: int
    text: str


@dataclass(frozen=True, kw_only=True)
class FailureGroup:
    """`attempts` are the first of `total` ones. `logs` are different from one another."""

    state: str
    cause: str
    retried: str
    message: str
    attempts: tuple[FailedAttempt, ...]
    total: int
    logs: tuple[FailureLog, ...]


@dataclass(frozen=True, kw_only=True)
class FailuresView:
    """`causes` are (state, cause, number of attempts), the most frequent first. `left_out` counts groups."""

    causes: tuple[tuple[str, str, int], ...]
    groups: tuple[FailureGroup, ...]
    left_out: int
    total: int


def summary(view: FailuresView) -> str:
    """The number of attempts."""
    return count(view.total, "attempt")


def failure_anchors(report: ReportInput) -> dict[int, str]:
    """The attempts that the section lists, with their anchors."""
    groups = list(_groups(report).values())[:MOST_GROUPS]
    return {row.id: report.anchor("failure", row.id) for members in groups for row in members[:MOST_ATTEMPTS]}


def failures_view(report: ReportInput) -> FailuresView | None:
    """None if every attempt gave a result that counts."""
    groups = _groups(report)
    if not groups:
        return None
    anchors = failure_anchors(report)
    outcomes = {row.spec_id: "has a result" for row in report.trials if row.status == "finished"}
    newest = {row.spec_id: row.id for row in sorted((*report.trials, *report.superseded), key=_order)}
    causes: dict[tuple[str, str], int] = {}
    shown = []
    for (state, cause, message), members in groups.items():
        causes[STATES[state], cause] = causes.get((STATES[state], cause), 0) + len(members)
        shown.append(
            FailureGroup(
                state=STATES[state],
                cause=cause,
                retried=_retried(state, cause),
                message=message,
                attempts=tuple(
                    FailedAttempt(
                        anchor=anchors[row.id],
                        number=row.id,
                        title=attempt_title(report.loaded, row),
                        order=row.position + 1,
                        attempt=row.attempt,
                        began=row.started_at[:19].replace("T", " "),
                        took="" if row.seconds is None else format_seconds(row.seconds),
                        outcome=outcomes.get(
                            row.spec_id, "no result" if newest[row.spec_id] == row.id else "tried again"
                        ),
                    )
                    for row in members
                    if row.id in anchors
                ),
                total=len(members),
                logs=tuple(_logs(members)),
            )
        )
    return FailuresView(
        causes=tuple(
            (state, cause, number)
            for (state, cause), number in sorted(causes.items(), key=lambda one: (-one[1], one[0]))
        ),
        groups=tuple(shown[:MOST_GROUPS]),
        left_out=max(0, len(shown) - MOST_GROUPS),
        total=sum(causes.values()),
    )


def _order(row: TrialRow) -> int:
    return row.id


def _groups(report: ReportInput) -> dict[tuple[AttemptState, str, str], list[TrialRow]]:
    """State, cause and message → its attempts in the order in which they began. The largest group comes
    first, and set-aside values come last.
    """
    groups: dict[tuple[AttemptState, str, str], list[TrialRow]] = {}
    for row in sorted((*report.trials, *report.superseded), key=_order):
        if row.state in STATES:
            groups.setdefault((row.state, _cause(row), _message(row)), []).append(row)
    ordered = sorted(groups.items(), key=lambda one: (one[0][0] == "superseded", -len(one[1]), one[1][0].id))
    return dict(ordered)


def _cause(row: TrialRow) -> str:
    if row.state == "superseded" and row.superseded_state in ("finished", "diverged"):
        return "value set aside"
    return row.cause or "not recorded"


def _message(row: TrialRow) -> str:
    if row.error:
        return shortened(row.error)
    return _SET_ASIDE if _cause(row) == "value set aside" else "no reason was recorded"


def _retried(state: AttemptState, cause: str) -> str:
    """Whether another attempt may succeed. Empty if the attempt was not ended by a cause with a name."""
    if state == "superseded" or cause not in set(Cause):
        return ""
    if Cause(cause) == Cause.STOPPED:
        return "The driver stopped it on purpose; the trial runs again when the run goes on."
    if Cause(cause).transient:
        return "The cause lies outside of the trial, so the harness tries it again."
    return "The cause lies in the trial, so the harness tries it again only with --retry-failed."


def _logs(members: list[TrialRow]) -> Iterator[FailureLog]:
    seen: set[str] = set()
    for row in members:
        text = "\n".join((row.traceback or "").splitlines()[-MOST_LOG_LINES:])
        if text and text not in seen and len(seen) < MOST_LOGS:
            seen.add(text)
            yield FailureLog(number=row.id, text=text)
