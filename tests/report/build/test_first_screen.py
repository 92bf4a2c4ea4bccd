"""The answers to all claims stand on the first screen, also of the studies with the most claims."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.analysis.results import ClaimAxis, Numbers, SettledClaim
from harness.report.build import write_report
from harness.report.inputs import ReportInput
from harness.report.sections.headline import headline_view
from harness.study.load import load_study
from harness.study.shipped import SHIPPED
from tests.report.chromium import opened
from tests.report.parsed import Page
from tests.report.synthetic import study, synthetic_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CROWDED = {"gradient_accumulation": 13, "decoding": 17}
SMALL = {"compare": {"cache": ["none", "dynamic"]}, "design": {"rounds": 6}, "claims": {}}
WARNINGS = (
    "cache=none: decode tokens per second drifts over the rounds (tau -0.51)",
    "cache=dynamic: the first round was slower than all others, and 2 of 6 rounds were disturbed",
)
AXIS = ClaimAxis(compared_by="ratios", quantity="loss", margin=0.05, region=(0.55, 0.69))


def settled(name: str, source: str, says: str, effect: float) -> SettledClaim:
    """A claim with the longest texts that are usual."""
    return SettledClaim(
        id=name,
        source=source,
        says=says,
        verdict="undecided",
        effect=f"{effect:.3f} ×",
        interval=f"{effect - 0.0163:.3f} to {effect + 0.0163:.3f} ×",
        claimed="0.621 ×",
        n=8,
        numbers=Numbers(effect=effect, low=effect - 0.0163, high=effect + 0.0163, claimed=0.6214),
        axis=AXIS,
    )


def crowded(name: str) -> list[ReportInput]:
    """A made-up run of every part of a shipped study, in which each of its claims has an effect."""
    parts = []
    for loaded in load_study(SHIPPED / f"{name}.yaml"):
        declared = study(**SMALL, study=loaded.study.study, question=loaded.study.question)
        report = synthetic_report(declared, steps=1)
        claims = tuple(
            settled(claim, declared.source, declared.says, 0.6 + 0.04 * number)
            for number, (claim, declared) in enumerate(loaded.study.claims.items())
        )
        analysis = replace(report.analysis, claims=claims, warnings=WARNINGS)
        parts.append(replace(report, analysis=analysis))
    return parts


@pytest.fixture(scope="module", params=CROWDED)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    path = tmp_path_factory.mktemp(request.param) / f"{request.param}.html"
    write_report(crowded(request.param), path)
    return request.param, path


def test_the_answers_to_all_claims_need_no_scrolling(browser: Browser, page: tuple[str, Path]) -> None:
    name, path = page
    screen = opened(browser, path, 1280)
    boxes = [row.bounding_box() for row in screen.locator("#answer .answers li").all()]
    assert len([box for box in boxes if box and box["y"] + box["height"] <= 800]) == CROWDED[name]
    header = screen.locator("header#answer").bounding_box()
    assert header is not None
    assert header["y"] + header["height"] <= 800
    screen.context.close()


@pytest.mark.parametrize(("width", "media"), [(1280, "screen"), (390, "screen"), (688, "print")])
def test_no_text_of_an_answer_is_cut_off_or_tiny(
    browser: Browser, page: tuple[str, Path], width: int, media: str
) -> None:
    screen = opened(browser, page[1], width)
    screen.emulate_media(media="print" if media == "print" else "screen")
    texts = "#answer .answers .says, #answer .answers .effect, #answer .answers .badge"
    cut_off = screen.locator(texts).evaluate_all(
        "all => all.filter(one => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0)"
        ".map(one => one.textContent)"
    )
    assert cut_off == []
    sizes = screen.locator(texts).evaluate_all(
        "all => all.map(one => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert min(sizes) >= 11
    assert screen.evaluate("document.documentElement.scrollWidth") == width
    screen.context.close()


def test_every_axis_stands_above_its_rows_and_beside_the_name_of_the_part(page: tuple[str, Path]) -> None:
    html = Page(page[1].read_text(encoding="utf-8"))
    heads = [head for head in html.by_class("head") if any(a.tag == "header" for a in head.ancestors)]
    assert [head.text.split()[0] for head in heads] == [
        loaded.part for loaded in load_study(SHIPPED / f"{page[0]}.yaml")
    ]
    assert all("loss, ratio" in head.text for head in heads)


def test_rows_are_dense_only_if_they_are_many() -> None:
    parts = crowded("gradient_accumulation")
    assert headline_view(parts).dense
    assert not headline_view(parts[1:]).dense
