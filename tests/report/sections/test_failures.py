from dataclasses import replace

import pytest

from harness.report.build import render
from harness.report.inputs import ReportInput
from harness.report.sections import failures
from harness.report.sections.failures import FailuresView, failure_anchors, failures_view
from harness.store.rows import TrialRow
from tests.report.parsed import Page
from tests.report.synthetic import study, synthetic_report, with_trials

SHORT = {"across": {}, "claims": {}, "compare": {"cache": ["none", "static"]}, "design": {"rounds": 4}}


def report_of(*changed: TrialRow, superseded: tuple[TrialRow, ...] = ()) -> ReportInput:
    report = small()
    by_id = {row.id: row for row in changed}
    rows = tuple(by_id.get(row.id, row) for row in report.trials)
    return replace(report, trials=rows, superseded=superseded)


def small() -> ReportInput:
    return with_trials(synthetic_report(study(**SHORT)), started_at="2031-05-06T07:08:09Z")


ROWS = small().trials


def failed(number: int, message: str = "boom", **changes: object) -> TrialRow:
    row = replace(ROWS[number - 1], state="failed", error=message, cause="error")
    return replace(row, **changes)  # type: ignore[arg-type]


def viewed(report: ReportInput) -> FailuresView:
    view = failures_view(report)
    assert view is not None
    return view


def test_a_run_without_failures_has_no_such_section() -> None:
    assert failures_view(small()) is None
    assert failure_anchors(small()) == {}


def test_equal_failures_are_one_group_and_the_largest_comes_first() -> None:
    view = viewed(
        report_of(
            failed(1, "rare"), failed(2), failed(4), failed(3, "gone", state="lost", cause="lost worker")
        )
    )
    assert [(group.state, group.cause, group.message, group.total) for group in view.groups] == [
        ("failed", "error", "boom", 2),
        ("failed", "error", "rare", 1),
        ("lost", "lost worker", "gone", 1),
    ]
    assert view.causes == (("failed", "error", 3), ("lost", "lost worker", 1))
    assert view.total == 4
    assert "only with --retry-failed" in view.groups[0].retried
    assert "tries it again" in view.groups[2].retried
    first = view.groups[0].attempts[0]
    assert first.number == 2
    assert first.title.endswith("seed 0 round 1")
    assert (first.order, first.attempt, first.began) == (ROWS[1].position + 1, 1, "2031-05-06 07:08:09")
    assert first.outcome == "no result"


def test_an_attempt_says_what_became_of_its_trial() -> None:
    again = replace(ROWS[0], id=100, attempt=2)
    lost = failed(1, "gone", state="lost", cause="lost worker")
    report = replace(report_of(lost), trials=(lost, *ROWS[1:], again))
    assert viewed(report).groups[0].attempts[0].outcome == "has a result"
    twice = replace(report, trials=(lost, *ROWS[1:], replace(lost, id=100, attempt=2)))
    assert [row.outcome for row in viewed(twice).groups[0].attempts] == ["tried again", "no result"]


def test_a_value_that_was_set_aside_is_listed_last() -> None:
    aside = replace(ROWS[0], id=90, state="superseded", superseded_state="finished")
    last = viewed(report_of(failed(2), superseded=(aside,))).groups[-1]
    assert (last.state, last.cause, last.total) == ("set aside", "value set aside", 1)
    assert last.attempts[0].outcome == "has a result"
    broken = replace(aside, superseded_state="failed", cause="crash", error="SIGABRT")
    assert viewed(report_of(superseded=(broken,))).groups[0].cause == "crash"


def test_different_logs_of_a_group_are_shown_from_their_end() -> None:
    long = "\n".join(f"line {number}" for number in range(100))
    view = viewed(
        report_of(failed(1, traceback=long), failed(2, traceback=long), failed(3, traceback="short"))
    )
    (group,) = view.groups
    assert [(log.number, len(log.text.splitlines())) for log in group.logs] == [(1, 40), (3, 1)]
    assert group.logs[0].text.splitlines()[0] == "line 60"


def test_many_groups_and_many_attempts_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "MOST_GROUPS", 1)
    monkeypatch.setattr(failures, "MOST_ATTEMPTS", 2)
    report = report_of(failed(1), failed(2), failed(3), failed(4, "other"))
    view = viewed(report)
    assert (len(view.groups), view.left_out, view.total) == (1, 1, 4)
    assert (len(view.groups[0].attempts), view.groups[0].total) == (2, 3)
    assert failure_anchors(report) == {1: "failure-1", 2: "failure-2"}


def test_the_page_shows_the_section_and_the_way_to_it() -> None:
    report = report_of(failed(1, "<b>boom</b>", traceback="Traceback <i>"))
    page = Page(render(replace(report, run=replace(report.run, failed=["it failed"]))))
    (section,) = [one for one in page.all("section") if one.attributes.get("id") == "failures"]
    assert "failed, error: <b>boom</b>" in section.text
    assert "Traceback <i>" in section.text
    links = [link.attributes["href"] for link in page.all("a", within="answer")]
    assert "#failures" in links
    assert "#failure-1" in [link.attributes["href"] for link in page.all("a", within="trials")]
