"""axe finds nothing on wide and narrow screens, light and dark; the answer needs no scrolling; on paper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.report.build import write_report
from harness.report.inputs import ReportInput
from tests.report.synthetic import CLAIMS, study, synthetic_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SMALL = {"compare": {"cache": ["none", "dynamic"]}, "design": {"rounds": 6}}
OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"


def ordinary() -> list[ReportInput]:
    return [synthetic_report(study(design={"rounds": 6}), steps=1)]


def parts() -> list[ReportInput]:
    names = {"speed": "kv-speedup", "memory": "kv-memory"}
    return [
        synthetic_report(study(**SMALL, study=f"cache/{name}", claims={claim: CLAIMS[claim]}), steps=1)
        for name, claim in names.items()
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


REPORTS = {"ordinary": ordinary, "parts": parts, "unfinished": unfinished}


@pytest.fixture(scope="module", params=REPORTS)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp(request.param) / f"{request.param}.html"
    write_report(REPORTS[request.param](), path)
    return path


def opened(browser: Browser, file: Path, width: int, scheme: str = "light") -> Page:
    """The page, whose policy does not refuse the script of axe."""
    context = browser.new_context(viewport={"width": width, "height": 800}, bypass_csp=True)
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(file.as_uri())
    return page


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing(browser: Browser, file: Path, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the extra dev")
    page = opened(browser, file, width, scheme)
    page.evaluate(OPEN_ALL)
    violations = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in violations] == []
    page.context.close()


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
