"""The report of a study with two parts: one page with sections for each part and unique ids."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest

from harness.report.build import render
from harness.report.inputs import ReportInput
from tests.report.parsed import Page
from tests.report.synthetic import CLAIMS, study, synthetic_report

SMALL = {"compare": {"cache": ["none", "dynamic"]}, "design": {"rounds": 6}}


@pytest.fixture(scope="module")
def parts() -> tuple[ReportInput, ReportInput]:
    speed = synthetic_report(study(**SMALL, study="cache/speed", claims={"kv-speedup": CLAIMS["kv-speedup"]}))
    memory = synthetic_report(study(**SMALL, study="cache/memory", claims={"kv-memory": CLAIMS["kv-memory"]}))
    doubt = replace(
        memory.analysis, answer="It takes memory.", invalid={"cache=dynamic": "confounded: updates"}
    )
    return speed, replace(memory, analysis=doubt)


def test_places_are_named_once_and_every_link_leads_to_one(parts: tuple[ReportInput, ReportInput]) -> None:
    html = render(*parts)
    ids = Counter(re.findall(r'\bid="([^"]+)"', html))
    assert [name for name, count in ids.items() if count > 1] == []
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)
    assert {"part-speed", "part-memory", "part-speed-comparison", "part-memory-parity"} <= set(ids)


def test_the_first_lines_answer_for_each_part(parts: tuple[ReportInput, ReportInput]) -> None:
    html = render(*parts)
    header = re.sub(r"<[^>]+>", "", html[html.index("<header") : html.index("</header>")])
    assert html.count("<h1>") == 1
    assert "speed 1 undecided" in header
    assert "memory 1 refuted" in header
    assert header.index("2.33 times as fast") < header.index("Memory grows")
    assert "memory: Invalid: 1 arm" in header
    assert "speed: cache=none at new tokens 256: decode tokens per second drifts" in header
    assert "cache/" not in header


def test_a_study_without_parts_names_no_part() -> None:
    html = render(synthetic_report(study(**SMALL)))
    assert 'id="part' not in html
    assert 'id="comparison"' in html


def test_a_banner_about_several_parts_appears_once(parts: tuple[ReportInput, ReportInput]) -> None:
    few = {"design": {"rounds": 1, "exploratory": True}}
    alike = [synthetic_report(study(**SMALL | few, study=f"cache/{name}", claims={})) for name in ("a", "b")]
    html = render(*alike, parts[1])
    assert html.count("<strong>a, b: Exploratory</strong>") == 1
    assert html.count("Exploratory</strong>") == 1
    assert "<strong>memory: Invalid: 1 arm</strong>" in html


def test_a_part_begins_with_its_answer_and_the_navigation_has_its_headline(
    parts: tuple[ReportInput, ReportInput],
) -> None:
    page = Page(render(*parts))
    assert [line.text for line in page.by_class("answer")] == [
        "Yes: 2.68 × (2.64 to 2.72 ×) at 256 new tokens, and the tokens are the same.",
        "It takes memory.",
    ]
    shorts = [one.text for one in page.by_class("short") if any(a.tag == "nav" for a in one.ancestors)]
    assert shorts == ["1 undecided", "1 refuted"]


def test_what_the_parts_share_appears_once_and_what_differs_is_stated(
    parts: tuple[ReportInput, ReportInput],
) -> None:
    speed, memory = parts
    same = render(speed, memory)
    assert same.count("Example CPU 9000") == same.count("How to repeat</h2>") == 1
    assert "not measured in the same environment" not in same
    page = Page(render(speed, replace(memory, environment={**memory.environment, "threads": 2})))
    (caption,) = [one for one in page.all("caption", within="environment") if "not measured" in one.text]
    rows = [row.text for row in page.all("tr", within="environment")]
    assert "threads 1 2" in rows
    assert caption.text == "The parts were not measured in the same environment"
    assert [row for row in rows if row.startswith("cpu")] == ["cpu Example CPU 9000, 2 cores"]
