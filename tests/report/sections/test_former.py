from dataclasses import replace
from typing import Any

import pytest

from harness.analysis.earlier_runs import EarlierVerdict, History
from harness.report.build import render
from harness.report.inputs import ReportInput
from harness.report.sections import former
from harness.report.sections.former import former_view, summary
from tests.report.parsed import Page
from tests.report.synthetic import study, synthetic_report


def verdict(run: str, **changes: Any) -> EarlierVerdict:
    made = EarlierVerdict(
        claim="kv-speedup",
        run=run,
        date="2031-05-06T07:08:09+00:00",
        scale="cpu",
        differs=("other machine", "other margin"),
        verdict="refuted",
        effect="0.992 ×",
        interval="0.99 to 0.999 ×",
        late=False,
        look=True,
        decides=False,
    )
    return replace(made, **changes)


def report_with(*verdicts: EarlierVerdict, **changes: Any) -> ReportInput:
    report = synthetic_report(study(across={"new_tokens": [256]}, design={"rounds": 2}))
    return replace(report, history=History(earlier={"kv-speedup": verdicts}, **changes))


def test_a_study_that_was_never_judged_before_has_no_such_section() -> None:
    assert former_view(synthetic_report(study(across={}, claims={}, design={"rounds": 2}))) is None


def test_each_earlier_verdict_is_a_row() -> None:
    view = former_view(
        report_with(verdict("a-1"), verdict("b-1", verdict="confirmed", late=True, look=False, decides=True))
    )
    assert view is not None
    assert summary(view) == "2 earlier verdicts on 1 claim"
    (claim,) = view.claims
    assert [row.run for row in claim.rows] == ["a-1", "b-1"]
    assert [row.verdict for row in claim.rows] == ["refuted", "confirmed"]
    assert claim.rows[0].date == "2031-05-06 07:08"
    assert claim.rows[0].notes == "other machine; other margin"
    assert claim.rows[1].notes == (
        "other machine; other margin; declared after the data; decides the claim; the same values"
    )


def test_a_claim_that_is_no_longer_stated_has_no_verdict_now() -> None:
    report = report_with(verdict("a-1"))
    now = {claim.id: claim.verdict for claim in report.analysis.claims}["kv-speedup"]
    for dropped, expected in (((), now), (("kv-speedup",), "")):
        view = former_view(report_with(verdict("a-1"), dropped=dropped))
        assert view is not None
        assert view.claims[0].now == expected


def test_the_newest_of_many_verdicts_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(former, "MOST_VERDICTS", 2)
    view = former_view(report_with(*(verdict(f"{number}-1") for number in range(5))))
    assert view is not None
    assert [row.run for row in view.claims[0].rows] == ["3-1", "4-1"]
    assert view.claims[0].total == 5


def test_the_first_screen_has_one_line_with_a_link_to_the_table() -> None:
    page = Page(render(report_with(verdict("a-1"), verdict("b-1"))))
    (line,) = [one for one in page.by_class("only") if "before" in one.text]
    assert line.text == "kv-speedup was judged 2 times before, on 2 other sets of values: refuted"
    assert "#former" in [link.attributes["href"] for link in page.all("a", within="answer")]
    rows = [row.text for row in page.all("tr", within="former")]
    assert sum("0.992 × 0.99 to 0.999 × other machine" in row for row in rows) == 2
