"""From a number to its samples in Chromium: by mouse, by keyboard, by finger, and without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.report.build import write_report
from tests.report.synthetic import study, synthetic_report, with_trials

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAIRS = "#pairs-1-1-decode-tokens-per-second"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tracing") / "kv_cache.html"
    declared = study(compare={"cache": ["none", "static"]}, across={"new_tokens": [16]}, claims={})
    write_report([with_trials(synthetic_report(declared))], path)
    return path


@pytest.fixture(scope="module")
def opened(browser: Browser, file: Path) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(file.as_uri())
    yield page
    page.close()


@pytest.fixture
def page(opened: Page) -> Page:
    """The page as it was opened."""
    opened.evaluate(
        "document.querySelectorAll('details').forEach(one => (one.open = false));"
        "document.activeElement.blur()"
    )
    return opened


def test_the_mouse_leads_to_the_pairs_to_a_trial_to_its_configuration_and_back(page: Page) -> None:
    effect = page.locator("td.effect a.trace").first
    effect.click()
    pairs = page.locator(PAIRS)
    assert pairs.locator("tbody tr").count() == 10
    assert pairs.is_visible()
    link = pairs.locator("tbody tr").nth(2).locator("a").last
    link.click()
    trial = page.locator(f"#trial-{link.inner_text()}")
    assert trial.is_visible()
    group = page.locator("details", has=trial).last
    columns = group.locator("thead th").all_inner_texts()
    assert trial.locator("th, td").nth(columns.index("round")).inner_text() == "3"
    group.get_by_role("link", name="Configuration").click()
    assert page.locator("#configuration-2, #configuration-1").locator("visible=true").count() == 1
    for _ in range(3):
        before = page.evaluate("location.hash")
        page.keyboard.press("Escape")
        page.wait_for_function("before => location.hash !== before", arg=before)
    assert page.evaluate("location.hash") == ""
    page.wait_for_function("document.activeElement.closest('td.effect') !== null")
    assert effect.evaluate("link => link === document.activeElement")


def test_the_keyboard_does_the_same(page: Page) -> None:
    effect = page.locator("td.effect a.trace").first
    effect.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("hash => document.activeElement.matches(hash)", arg=PAIRS)
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.pairs tbody a')"):
            break
    chosen = page.locator(":focus").inner_text()
    page.keyboard.press("Enter")
    page.wait_for_function("id => document.activeElement.id === id", arg=f"trial-{chosen}")
    assert page.locator(f"#trial-{chosen}").is_visible()
    page.go_back()
    page.wait_for_function("hash => location.hash === hash", arg=PAIRS)
    page.wait_for_function("document.activeElement.matches('.pairs tbody a')")
    page.go_back()
    page.wait_for_function("document.activeElement.matches('td.effect a')")


def test_the_hint_of_an_effect_lists_its_raw_values(page: Page) -> None:
    page.locator("td.effect a.trace").first.hover()
    ratios = page.locator(f"{PAIRS} td.pair-effect").all_text_contents()
    assert len(ratios) == 10
    shown = page.get_by_role("tooltip").inner_text()
    assert shown.startswith("n = 10; 95 % interval ")
    assert f"Pairs: {', '.join(ratios)}" in shown


def test_a_finger_sees_the_hint_first_and_the_pairs_with_the_second_tap(browser: Browser, file: Path) -> None:
    context = browser.new_context(has_touch=True, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(file.as_uri())
    effect = page.locator("td.effect a.trace").first
    effect.tap()
    assert "Tap again" in page.get_by_role("tooltip").inner_text()
    assert page.evaluate("location.hash") == ""
    effect.tap()
    page.wait_for_function("hash => location.hash === hash", arg=PAIRS)
    assert page.locator(PAIRS).is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    context.close()


def test_links_open_what_they_lead_to_without_javascript(browser: Browser, file: Path) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(file.as_uri())
    assert page.locator("table.comparison .extra").first.is_visible()
    page.locator("td.effect a.trace").first.click()
    pairs = page.locator(PAIRS)
    pairs.wait_for(state="visible")
    link = pairs.locator("tbody a").first
    link.click()
    page.locator(f"#trial-{link.inner_text()}").wait_for(state="visible")
    page.close()
