"""The report in Chromium: it loads nothing, logs no error, and fits on wide and narrow screens."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.report.build import write_report
from tests.report.chromium import OPEN_ALL
from tests.report.synthetic import study, synthetic_report
from tests.support.made_up_search import MIXED, made_up_search, report_of_search

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "kv_cache.html"
    long = "a_very_long_name_of_a_level_that_nobody_would_choose_but_somebody_does"
    write_report([synthetic_report(study(compare={"cache": ["none", "dynamic", long]}))], path)
    return path


@pytest.mark.parametrize("width", [1280, 390])
def test_it_opens_from_disk_and_fits(browser: Browser, report: Path, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844})
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    headings = page.locator("h1, h2, h3")
    assert headings.count() > 15
    assert all(headings.nth(index).is_visible() for index in range(headings.count()))
    drawings = page.locator("figure svg")
    for index in range(drawings.count()):
        box = drawings.nth(index).bounding_box()
        assert box is not None
        assert box["width"] > 250
        assert box["x"] + box["width"] <= width
    page.close()


def test_intervals_of_a_claim_on_several_arms_stay_in_its_card(browser: Browser, report: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 844})
    page.goto(report.as_uri())
    card = page.locator(".claim", has=page.locator(".interval")).first
    card.locator(".interval").evaluate("e => e.textContent = '1.008 to 1.018 ×, '.repeat(8)")
    assert card.evaluate("e => e.scrollWidth <= e.clientWidth")
    page.close()


def test_the_csv_can_be_saved_and_a_figure_leads_to_its_samples(browser: Browser, report: Path) -> None:
    page = browser.new_page(accept_downloads=True)
    page.goto(report.as_uri())
    page.locator("#samples > details > summary").click()
    with page.expect_download() as saved:
        page.locator("a.download").click()
    assert saved.value.suggested_filename == "kv_cache-cpu.csv"
    lines = Path(saved.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("trial,purpose,task,arm,condition,new_tokens")
    assert len(lines) == 1 + 90 * 8 * 3
    plain = browser.new_page(accept_downloads=True, java_script_enabled=False)
    plain.goto(report.as_uri())
    plain.locator("#samples > details > summary").click()
    with plain.expect_download() as saved:
        plain.locator("a.download").click()
    assert saved.value.suggested_filename == "kv_cache-cpu.csv.gz"
    assert gzip.decompress(Path(saved.value.path()).read_bytes()).decode().splitlines() == lines
    plain.close()
    page.locator("#samples > details > summary").click()
    assert not page.locator("#samples-1").is_visible()
    page.locator("#figure-effect figcaption a").first.click()
    assert page.locator("#samples-1").is_visible()
    assert page.evaluate("location.hash") == "#samples-1"
    page.close()


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("search") / "lr.search.html"
    search = made_up_search(
        MIXED,
        lambda point: [point["batch"] + point["optimizer.lr"], 1 / point["batch"]],
        objectives=["validation_loss", "update_seconds"],
        points=40,
        ended={3: ("failed", "RuntimeError: " + "long reason " * 20)},
    )
    effects = {"validation_loss": (0.9, 0.8, 1.1), "update_seconds": (0.7, 0.6, 0.8)}
    write_report([report_of_search(search, **effects)], path)
    return path


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_of_a_search_fits_and_logs_nothing(browser: Browser, searched: Path, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(searched.as_uri())
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    drawings = page.locator("figure svg")
    assert drawings.count() > 15
    for index in range(drawings.count()):
        box = drawings.nth(index).bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width
    page.close()


def test_the_style_sheet_sorts_the_points(browser: Browser, searched: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 844}, java_script_enabled=False)
    page.goto(searched.as_uri())
    page.locator("#part-proof-points > details > summary").click()

    def shown(column: int) -> list[str]:
        """The texts of a column from top to bottom."""
        rows = page.locator(".sorted tbody tr")
        cells = [rows.nth(index).locator("th, td").nth(column) for index in range(rows.count())]
        placed = [(cell.bounding_box(), cell.inner_text()) for cell in cells]
        return [text for box, text in sorted(placed, key=lambda one: one[0]["y"] if one[0] else 0.0)]

    assert shown(0)[-1].split()[0] == "3"
    page.get_by_role("radio", name="as asked").check()
    assert [int(text.split()[0]) for text in shown(0)] == list(range(40))
    page.get_by_role("radio", name="batch").check()
    batches = [int(text) for text in shown(4)]
    assert batches == sorted(batches)
    page.close()
