from dataclasses import replace
from typing import Any

import pytest

from harness.report.build import render
from harness.report.inputs import ReportInput
from harness.report.sections import environments
from harness.report.sections.environments import DifferenceTable, environments_view
from harness.store.rows import Run, Session
from tests.report.parsed import Page
from tests.report.synthetic import study, synthetic_report
from tests.support.made_up_run import made_up_run


def small() -> ReportInput:
    return synthetic_report(study(across={}, claims={}, design={"rounds": 2}))


def session(number: int, host: str = "one", **provenance: Any) -> Session:
    return Session(
        id=number,
        run_id="r-1",
        started_at="",
        ended_at=None,
        host=host,
        pid=1,
        provenance={"started_at": str(number), "load": [number], "git_commit": "abc", **provenance},
    )


def run(name: str, environment: dict[str, Any], code: str) -> Run:
    return made_up_run(name, environment=environment, code_digest=code)


def tables(report: ReportInput) -> tuple[DifferenceTable, ...]:
    view = environments_view(report)
    return () if view is None else view.tables


def test_equal_environments_have_no_such_section() -> None:
    report = small()
    same = run("a-1", dict(report.environment), report.run.code_digest)
    assert environments_view(replace(report, sessions=(session(1), session(2)), former=(same,))) is None


def test_sessions_with_the_same_facts_are_one_column() -> None:
    sessions = (session(1), session(2, host="two", git_commit="def"), session(3))
    (table,) = tables(replace(small(), sessions=sessions))
    assert table.columns == ("session 1, 3", "session 2")
    assert table.rows == (("host", ("one", "two")), ("git_commit", ("abc", "def")))
    assert table.left_out == ""


def test_former_runs_are_compared_with_this_one_the_newest_first() -> None:
    report = replace(small(), environment={"cpu": "A", "packages": {"torch": "2"}, "os": "x"})
    older = run("a-1", {"cpu": "A", "packages": {"torch": "1"}, "os": "x"}, report.run.code_digest)
    newer = run("b-1", {"cpu": "B", "packages": {}, "os": "x"}, "c0de")
    (table,) = tables(replace(report, former=(older, newer)))
    assert table.columns == (f"this run, {report.run.id}", "run b-1", "run a-1")
    assert table.rows == (
        ("code", (report.run.code_digest, "c0de", report.run.code_digest)),
        ("cpu", ("A", "B", "A")),
        ("packages.torch", ("2", "–", "1")),
    )


def test_many_runs_and_facts_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "MOST_COLUMNS", 2)
    monkeypatch.setattr(environments, "MOST_FACTS", 1)
    report = replace(small(), environment={"a": 1, "b": 1})
    others = tuple(run(f"{n}-1", {"a": n, "b": n}, report.run.code_digest) for n in (2, 3, 4))
    (table,) = tables(replace(report, former=others))
    assert table.rows == (("a", ("1", "4")),)
    assert table.left_out == "2 more former runs and 1 more fact"


def test_the_page_lists_the_differences() -> None:
    page = Page(render(replace(small(), sessions=(session(1), session(2, host="<b>two</b>")))))
    rows = [row.text for row in page.all("tr", within="environments")]
    assert rows == ["fact session 1 session 2", "host one <b>two</b>"]
