"""The section with the comparison."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.report.build import render
from harness.report.inputs import ReportInput
from harness.report.sections.method import method_view
from tests.report.parsed import Page
from tests.report.texts import report_of_costs, report_of_texts


@pytest.fixture(scope="module")
def report() -> ReportInput:
    return report_of_texts()


@pytest.fixture(scope="module")
def cost(report: ReportInput) -> ReportInput:
    return report_of_costs(report)


def test_effects_are_described_as_ratios_or_differences(report: ReportInput, cost: ReportInput) -> None:
    """Scores are compared by differences over sentences, seconds by ratios over rounds."""
    for one, heading, intro in (
        (
            report,
            "effect and interval",
            "The effect is the difference arm − baseline in BLEU, with its bootstrap interval",
        ),
        (
            cost,
            "effect and interval",
            "The effect is the ratio arm ÷ baseline in sentence seconds, with its signed-rank interval",
        ),
    ):
        view = replace(
            one, loaded=replace(one.loaded, study=one.loaded.study.model_copy(update={"study": "w"}))
        )
        page = Page(render(view))
        assert heading in {head.text.replace("\u00a0", " ") for head in page.all("th", within="comparison")}
        assert intro in page.by_id("comparison").text
    estimates = [dict(method_view(one).design)["estimate"] for one in (report, cost)]
    assert estimates[0].startswith("difference of the corpus scores")
    assert estimates[1].startswith("Hodges-Lehmann estimate of the log ratios within rounds")
