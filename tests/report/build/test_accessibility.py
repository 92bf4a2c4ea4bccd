"""axe finds nothing on wide and narrow screens, light and dark; the answer needs no scrolling; on paper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.report.build import render, write_page, write_report
from harness.report.claims_ledger import LedgerEntry
from harness.report.index import render_index
from harness.report.inputs import ReportInput, ReportSamples
from tests.report.chromium import OPEN_ALL, opened, violations
from tests.report.synthetic import CLAIMS, frame_of, study, synthetic_report
from tests.report.test_index import PAGE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SMALL = {"compare": {"cache": ["none", "dynamic"]}, "design": {"rounds": 6}}


def ordinary() -> list[ReportInput]:
    return [synthetic_report(study(design={"rounds": 6}), steps=1)]


def parts() -> list[ReportInput]:
    names = {"speed": ["kv-speedup", "kv-growth"], "memory": ["kv-memory"], "all": list(CLAIMS)}
    return [
        synthetic_report(
            study(**SMALL, study=f"cache/{name}", claims={claim: CLAIMS[claim] for claim in claims}), steps=1
        )
        for name, claims in names.items()
    ]


def unfinished() -> list[ReportInput]:
    """A study without a verdict, most of whose trials failed or are not there yet, and an arm of which is
    invalid.
    """
    few = {"design": {"rounds": 1, "exploratory": True}, "claims": {}}
    report = synthetic_report(study(**SMALL | few))
    run = replace(
        report.run, expected_trials=90, running=True, failed=[f"trial {n} failed" for n in range(5)]
    )
    doubt = replace(report.analysis, answer="", contrasts=(), summaries=(), invalid={"cache=dynamic": "no"})
    return [replace(report, run=run, analysis=doubt)]


def without_trials() -> list[ReportInput]:
    """A run that has just begun."""
    report = synthetic_report(study(**SMALL | {"claims": {}}), steps=1)
    nothing = replace(report.analysis, answer="", contrasts=(), summaries=(), parity=(), checks=(), claims=())
    return [
        replace(
            report,
            samples=ReportSamples.from_frame(frame_of(report).iloc[:0]),
            telemetry=report.telemetry.iloc[:0],
            run=replace(report.run, finished_trials=0, running=True),
            analysis=nothing,
        )
    ]


def index() -> str:
    entry = LedgerEntry(
        source="001 §5",
        claim="fast",
        says="It is faster.",
        study="kv/a_part_with_a_long_name",
        verdict="refuted",
        claimed="2 ×",
        ours="1.1 ×",
        interval="1.0 to 1.2 ×",
        n=10,
        effect=1.1,
        low=1.0,
        high=1.2,
        claimed_figure=2.0,
        scale="cpu",
        device="Example 9000",
        date="2026-01-02T03:04",
        run="a-1",
        ordinal=1,
        reason="It is not twice as fast.",
    )
    return render_index(replace(PAGE, ledger=(entry,)))


REPORTS = {"ordinary": ordinary, "parts": parts, "unfinished": unfinished}


@pytest.fixture(scope="module", params=REPORTS)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(request.param) / f"{request.param}.html"
    write_report(REPORTS[request.param](), path)
    return path


LIGHT, DARK = (1280, "light"), (390, "dark")
SMALL_PAGES = ("unfinished", "without_trials", "index")
VIEWS = [(name, *view) for name in ("ordinary", "parts") for view in (LIGHT, DARK)]
VIEWS += [(name, *view) for name in SMALL_PAGES for view in (LIGHT, DARK)]
OTHER_VIEWS = [(name, *view) for name in SMALL_PAGES for view in ((1280, "dark"), (390, "light"))]


@pytest.fixture(scope="module")
def unfolded(
    request: pytest.FixtureRequest, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """A page that is opened once, with everything unfolded."""
    path = tmp_path_factory.mktemp("axe") / f"{request.param}.html"
    pages = REPORTS | {"without_trials": without_trials, "parts": lambda: parts()[:2]}
    write_page(index() if request.param == "index" else render(*pages[request.param]()), path)
    page = opened(browser, path, 1280)
    page.evaluate(OPEN_ALL)
    yield page
    page.context.close()


@pytest.mark.parametrize(
    ("unfolded", "width", "scheme"),
    [*VIEWS, *(pytest.param(*view, marks=pytest.mark.slow) for view in OTHER_VIEWS)],
    indirect=["unfolded"],
)
def test_axe_finds_nothing(unfolded: Page, width: int, scheme: str) -> None:
    assert violations(unfolded, width=width, scheme=scheme) == []


def test_the_answer_needs_no_scrolling(browser: Browser, file: Path) -> None:
    page = opened(browser, file, 1280)
    box = page.locator("header#answer").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 800
    page.context.close()


def test_the_first_key_leads_past_the_navigation(browser: Browser, file: Path) -> None:
    page = opened(browser, file, 1280)
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the answer"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "MAIN"
    page.context.close()


def test_on_paper_everything_is_open_and_the_navigation_is_gone(browser: Browser, file: Path) -> None:
    page = opened(browser, file, 688)  # A4 less its margins
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    facts = page.locator("#method table, #part-speed-method table").first
    assert facts.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 688
    page.context.close()
