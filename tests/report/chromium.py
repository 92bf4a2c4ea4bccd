"""A report in Chromium as tests open it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"


def opened(browser: Browser, file: Path, width: int) -> Page:
    """The page, whose policy does not refuse the script of axe."""
    context = browser.new_context(viewport={"width": width, "height": 800}, bypass_csp=True)
    page = context.new_page()
    page.goto(file.as_uri())
    return page


def violations(page: Page, *, width: int, scheme: str) -> list[tuple[str, str]]:
    """What axe finds at this width in this colour scheme: rule, and the first element that breaks it."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the extra dev")
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    broken = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [(one["id"], one["nodes"][0]["html"]) for one in broken]
