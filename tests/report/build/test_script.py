"""The script of the page in Chromium: tables are sorted, filtered and saved, hints appear for the mouse and
the keyboard, and no other script runs.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from harness.report.build import render
from harness.visible import without_formula
from tests.report.synthetic import study, synthetic_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

FORMULA = "=HYPERLINK(1)"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    declared = study(
        compare={"cache": ["none", "dynamic", "static", FORMULA]}, across={"new_tokens": [16]}, claims={}
    )
    report = synthetic_report(declared)
    first, *others = report.analysis.contrasts
    same = replace(first, verdict="equivalent", effect=10.001, p=1e-9)
    path = tmp_path_factory.mktemp("script") / "kv_cache.html"
    page = render(replace(report, analysis=replace(report.analysis, contrasts=(same, *others))))
    path.write_text(page, encoding="utf-8", newline="\n")
    return path


@pytest.fixture(scope="module")
def opened(browser: Browser, file: Path) -> Iterator[tuple[Page, list[str]]]:
    """The page, and everything that it requested or complained about."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    noticed: list[str] = []
    page.on("console", lambda message: noticed.append(message.text))
    page.on("pageerror", lambda error: noticed.append(str(error)))
    page.on("request", lambda request: noticed.append(request.url))
    page.goto(file.as_uri())
    yield page, noticed
    page.close()


@pytest.fixture
def page(opened: tuple[Page, list[str]]) -> Page:
    return opened[0]


def column(table: Locator, number: int) -> list[str]:
    """The values of a column from top to bottom."""
    cells = table.locator(f"tbody tr > :nth-child({number})")
    values: list[str] = cells.evaluate_all(
        "cells => cells.map(cell => cell.dataset.value ?? cell.textContent.trim())"
    )
    return values


def test_a_column_is_sorted_as_numbers_and_back(page: Page) -> None:
    table = page.locator("table.comparison").first
    head = table.locator("thead th").nth(1)
    before = column(table, 2)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(table, 2) == sorted(before, key=float)
    assert column(table, 2)[-1] == "10.001"
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(table, 2) == sorted(before, key=float, reverse=True)
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") is None
    assert column(table, 2) == before


def test_other_metrics_are_shown_on_request(page: Page) -> None:
    table = page.locator("table.comparison").first
    heads = table.locator("thead th")
    assert heads.count() == 11
    assert [heads.nth(i).is_visible() for i in range(11)] == [True] * 4 + [False] * 7
    button = page.get_by_role("button", name="Show 7 more metrics")
    button.press("Enter")
    assert all(heads.nth(i).is_visible() for i in range(11))
    page.get_by_role("button", name="Show fewer metrics").click()
    assert not heads.nth(6).is_visible()


def test_rows_are_filtered_and_columns_are_hidden(page: Page) -> None:
    tools = page.locator("#comparison .tools").first
    table = page.locator("table.comparison").first
    rows = table.locator("tbody tr")
    tools.locator("summary").click()
    filter_box = tools.get_by_label("Filter")
    filter_box.fill("static")
    assert rows.locator("visible=true").all_inner_texts()[0].startswith("cache=static")
    assert tools.locator("output").inner_text() == "1 of 4 rows"
    filter_box.fill("")
    tools.get_by_label("Only rows that differ").check()
    assert tools.locator("output").inner_text() == "3 of 4 rows"
    assert not rows.nth(1).is_visible()
    tools.get_by_label("Only rows that differ").uncheck()
    tools.get_by_label("verdict").uncheck()
    assert not table.locator("thead th").nth(2).is_visible()
    assert not rows.nth(1).locator("td").nth(1).is_visible()
    tools.get_by_label("verdict").check()
    assert rows.nth(1).locator("td").nth(1).is_visible()


def test_a_table_is_saved_at_full_precision_and_holds_no_formula(page: Page) -> None:
    """The contrasts are in closed details: their table gets its buttons as soon as somebody opens them."""
    contrasts = page.locator("#comparison details", has_text="All contrasts").first
    contrasts.locator("summary").first.click()
    contrasts.locator(".tools summary").click()
    with page.expect_download() as saved:
        contrasts.get_by_role("button", name="Download as CSV").click()
    assert saved.value.suggested_filename.startswith("kv-cache-all-metrics")
    text = Path(saved.value.path()).read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0][:4] == ["metric", "arm", "pairs", "effect"]
    assert rows[1][3] == "10.001"
    assert rows[1][8] == "1e-09"
    assert len(rows[2][3]) > 10
    assert [row[1] for row in rows[1:]] == ["cache=dynamic", "cache=static", f"cache={FORMULA}"]


def test_texts_are_guarded_as_in_every_other_csv(page: Page) -> None:
    texts = [FORMULA, "@SUM(1)", "-2+3", "+x", "-0.5", "+1e-9", "-", 'a "b", c', "\tx"]
    cells = page.locator("table.comparison").first.locator("tbody tr").first.locator("th, td")
    for number, text in enumerate(texts):
        cells.nth(number).evaluate("(cell, text) => (cell.dataset.value = text)", text)
    with page.expect_download() as saved:
        page.locator("#comparison .tools button").first.click()
    written = Path(saved.value.path()).read_text(encoding="utf-8")
    row = list(csv.reader(io.StringIO(written)))[1]
    assert row[: len(texts)] == [without_formula(text) for text in texts]


def test_a_figure_is_saved_with_its_colours(page: Page) -> None:
    figure = page.locator("#figure-spread")
    with page.expect_download() as saved:
        figure.get_by_role("button", name="Download as SVG").click()
    assert saved.value.suggested_filename == "kv-cache-figure-spread.svg"
    text = Path(saved.value.path()).read_text(encoding="utf-8")
    assert "var(" not in text
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall("{http://www.w3.org/2000/svg}svg")) == figure.locator(".panels svg").count()
    assert 'fill="rgb(27, 31, 36)"' in text


def test_a_hint_shows_n_and_the_interval_for_the_keyboard_and_the_mouse(page: Page) -> None:
    effect = page.locator("table.comparison tbody tr").nth(2).locator("[data-hint]").first
    bubble = page.get_by_role("tooltip")
    page.locator("h1").hover()
    effect.hover()
    assert bubble.inner_text().startswith("n = 10; 95 % interval ")
    page.locator("h1").hover()
    assert not bubble.is_visible()
    page.locator("table.comparison thead button").nth(3).focus()
    for _ in range(20):
        page.keyboard.press("Tab")
        if bubble.is_visible() and bubble.inner_text().startswith("n = 10"):
            break
    assert page.locator(":focus").get_attribute("aria-describedby") == bubble.get_attribute("id")
    page.keyboard.press("Escape")
    assert not bubble.is_visible()


def test_it_requested_nothing_and_logged_nothing(opened: tuple[Page, list[str]], file: Path) -> None:
    _, noticed = opened
    assert [line for line in noticed if not line.startswith(("data:", "blob:"))] == [file.as_uri()]


def test_no_other_script_runs(browser: Browser, file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    attacks = "<script>window.attacked = 1</script><svg onload='window.attacked = 2'></svg>"
    attacked = file.with_name("attacked.html")
    attacked.write_text(text.replace("<header", f"{attacks}<header", 1), encoding="utf-8", newline="\n")
    page = browser.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(attacked.as_uri())
    assert page.evaluate("window.attacked") is None
    assert len(refused) == 2
    assert all("Content Security Policy" in line for line in refused)
    assert page.locator("th button.sort").count() > 0, "the script of the page runs"
    page.close()
