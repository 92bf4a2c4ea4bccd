"""Texts that attack the reader of a report: in every place of every template, in figures, and in Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from markupsafe import Markup

from harness.report import build
from harness.report.build import render
from harness.report.inputs import ReportInput
from harness.report.sections.headline import headline_view
from harness.visible import visible
from tests.report.parsed import Page
from tests.report.synthetic import study, synthetic_report
from tests.report.texts import report_of_texts
from tests.support.hostile_texts import HOSTILE_TEXTS, MARK
from tests.support.made_up_search import LR, made_up_search, report_of_search

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog

EVERY = "\n".join(HOSTILE_TEXTS.values())
STORED = EVERY.replace(HOSTILE_TEXTS["surrogate"], "")
"""What can come from a study or from the store, neither of which holds half a character."""

SHORT = EVERY.replace(HOSTILE_TEXTS["long word"], "")

POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')
TAGS = {"script", "img", "iframe", "object", "embed", "form", "base", "audio", "video", "foreignobject"}


def with_hostile_arms() -> ReportInput:
    """Every text is the level of an arm and a part of all that is said about the run."""
    levels = [text for name, text in HOSTILE_TEXTS.items() if name not in ("surrogate", "long word")]
    declared = study(
        question=STORED,
        compare={"cache": ["none", *levels]},
        across={"prompt": [HOSTILE_TEXTS["title of the terminal"], HOSTILE_TEXTS["nul"]]},
        claims={},
        design={"rounds": 2, "exploratory": True},
    )
    report = synthetic_report(declared, steps=1)
    analysis = replace(
        report.analysis,
        answer=EVERY,
        warnings=(EVERY,),
        invalid={arm.name: EVERY for arm in report.loaded.arms},
    )
    return replace(
        report,
        loaded=replace(
            report.loaded, source=EVERY, path=Path(EVERY.replace("/", "").replace("\0", "")[:200])
        ),
        analysis=analysis,
        run=replace(report.run, failed=[EVERY], plant=EVERY, finished_trials=1),
        environment={EVERY: {EVERY: EVERY}},
        provenance={"git_branch": EVERY, "argv": [EVERY], "host": EVERY},
        nvml_reason=EVERY,
        command=EVERY,
    )


def with_every_text_hostile(monkeypatch: pytest.MonkeyPatch) -> str:
    """A page on which every text of every view is all hostile texts at once."""

    def hostile_view(view: Callable[[Any], object]) -> Callable[[Any], object]:
        return lambda shown: hostile(view(shown))

    sections = [replace(section, view=hostile_view(section.view)) for section in build.SECTIONS]
    monkeypatch.setattr(build, "SECTIONS", sections)
    monkeypatch.setattr(build, "headline_view", hostile_view(headline_view))
    few: dict[str, Any] = {
        "design": {"rounds": 1, "exploratory": True},
        "compare": {"cache": ["none", "dynamic"]},
    }
    search = made_up_search(
        LR, lambda point: [point["optimizer.lr"]], points=4, ended={2: ("failed", STORED)}
    )
    searched = report_of_search(search, validation_loss=(0.9, 0.8, 1.1))
    return render(synthetic_report(study(**few), steps=1), report_of_texts(), searched)


def hostile(value: Any) -> Any:
    """The value with all hostile texts in place of every text, but for figures, which are markup already."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return SHORT
    if isinstance(value, Mapping):
        return {f"{number} {SHORT}": hostile(inner) for number, inner in enumerate(value.values())}
    if isinstance(value, tuple | list):
        parts = [hostile(inner) for inner in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: hostile(getattr(value, f.name)) for f in fields(value) if f.init})
    return value


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patches:
        everywhere = with_every_text_hostile(patches)
    return {"arms": render(with_hostile_arms()), "everywhere": everywhere}


@pytest.mark.parametrize("name", ["arms", "everywhere"])
def test_no_text_becomes_markup_and_every_character_is_visible(pages: dict[str, str], name: str) -> None:
    page = Page(pages[name])
    assert {element.tag for element in page.elements} & TAGS == {"script"}
    assert page.other_scripts == []
    attributes = [(key, value) for element in page.elements for key, value in element.attributes.items()]
    assert [key for key, _ in attributes if key.startswith("on")] == []
    assert [value for _, value in attributes if value.strip().lower().startswith("javascript:")] == []
    assert pages[name] == visible(pages[name], keep="\n\t")
    styles = [style.text for style in page.all("style")] + [
        value for key, value in attributes if key == "style"
    ]
    assert [style for style in styles if MARK in style or "7 * 7" in style] == []
    for text in HOSTILE_TEXTS.values():
        if name == "everywhere" and text not in SHORT:
            continue
        assert " ".join(visible(text, keep="\n\t").split()) in page.all("body")[0].text


def test_figures_show_every_label(pages: dict[str, str]) -> None:
    labels = {text.text for text in Page(pages["arms"]).all("text")}
    for name in ("image", "mathtext", "formula", "nul", "title of the terminal", "bidirectional"):
        begin = " ".join(visible(HOSTILE_TEXTS[name]).split())[:10]
        assert any(label.startswith(begin) for label in labels), name


@pytest.mark.parametrize("name", ["arms", "everywhere"])
def test_nothing_runs_and_nothing_is_loaded_in_chromium(
    browser: Browser, pages: dict[str, str], name: str, tmp_path: Path
) -> None:
    """Without its policy, so that nothing but the escapes keeps the texts from acting."""
    html, policies = POLICY.subn("", pages[name])
    assert policies == 1
    events = opened(browser, html, tmp_path)
    assert events == {"dialogs": [], "requests": [], "mark": None}


def test_the_policy_stops_what_a_mistake_in_a_template_would_let_through(
    browser: Browser, tmp_path: Path
) -> None:
    attacks = "".join(HOSTILE_TEXTS[name] for name in ("script", "image", "drawing", "link", "attribute"))
    more = '<link rel=stylesheet href="https://example.com/x.css"><iframe src="https://example.com"></iframe>'
    html = render(synthetic_report(study(design={"rounds": 2, "exploratory": True}, claims={}), steps=1))
    attacked = html.replace("</main>", f"{attacks}{more}</main>")
    assert opened(browser, attacked, tmp_path)["mark"] is None
    assert opened(browser, POLICY.sub("", attacked), tmp_path)["mark"] == 1


def opened(browser: Browser, html: str, folder: Path) -> dict[str, Any]:
    """What happens when a page is opened, and when the pointer and the keyboard touch it."""
    file = folder / "page.html"
    file.write_text(html, encoding="utf-8")
    page = browser.new_page()
    dialogs: list[str] = []
    requests: list[str] = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    page.on("request", lambda request: requests.append(request.url))
    page.route("http*://**", lambda route: route.abort())
    page.goto(file.as_uri())
    for selector in ("h1", "main a", "svg text", "td", "th"):
        page.locator(selector).first.dispatch_event("mouseover")
        page.locator(selector).first.dispatch_event("focus")
    mark = page.evaluate(f"window.{MARK} ?? null")
    page.close()
    urls = [url for url in requests if not url.startswith(("data:", file.as_uri()))]
    return {"dialogs": dialogs, "requests": urls, "mark": mark}
