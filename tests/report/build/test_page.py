import subprocess
import sys
from dataclasses import replace

import pytest

from harness.report.build import render
from harness.wording import interval_text
from tests.report.parsed import Page
from tests.report.synthetic import QUESTION, study, synthetic_report


@pytest.fixture(scope="module")
def html() -> str:
    return render(synthetic_report())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_sections_come_in_the_order_in_which_they_are_read(page: Page) -> None:
    assert [heading.text for heading in page.all("h2")] == [
        "Claims",
        "Comparison",
        "Figures",
        "Load, memory and energy",
        "Invariants",
        "Parity: work of each arm",
        "Pairs behind each effect",
        "Raw samples",
        "Method",
        "How to repeat",
        "Environment and provenance",
    ]
    assert ["answer", *(section.attributes["id"] for section in page.all("section"))] == [
        link.attributes["href"][1:] for link in page.all("a") if link.ancestors[-1].tag == "nav"
    ]


def test_question_and_answer_open_the_page(page: Page) -> None:
    (title,) = page.all("h1")
    assert title.text == QUESTION
    (answer,) = page.by_class("answer")
    assert answer.text.startswith("Yes: 2.68 ×")
    (facts,) = page.by_class("run")
    assert "4 arms × 3 conditions × 1 seed × 10 rounds" in facts.text
    assert "120 of 120 trials finished" in facts.text
    assert "2031-05-06 07:08 UTC" in facts.text
    assert page.by_class("banner") == []


def test_each_claim_has_an_anchor_and_tells_everything_about_itself(page: Page) -> None:
    claims = page.all("article")
    assert [claim.attributes["id"] for claim in claims] == [
        "claim-1-kv-same",
        "claim-2-kv-speedup",
        "claim-3-kv-growth",
        "claim-4-kv-memory",
    ]
    for part in (
        "undecided",
        "kv-speedup",
        "001 §5",
        "2.33 times as fast",
        "2.68 × 2.64 to 2.72 ×",
        "one side only",
    ):
        assert part in claims[1].text
    assert [badge.text for badge in page.by_class("badge")][:4] == [
        "✓ confirmed",
        "? undecided",
        "✓ confirmed",
        "✗ refuted",
    ]


def test_comparison_marks_the_baseline_and_prints_ratio_interval_and_verdict(page: Page) -> None:
    tables = page.by_class("comparison")
    assert len(tables) == 3
    captions = [table.text for table in page.all("caption", within="comparison")]
    assert captions[0::2] == ["new tokens = 16", "new tokens = 64", "new tokens = 256"]
    assert len(page.by_class("baseline")) == 3
    assert all("cache=none baseline 1 " in row.text for row in page.by_class("baseline"))
    report = synthetic_report()
    for contrast in report.analysis.contrasts:
        interval = interval_text(contrast.low, contrast.high)
        shown = f"{contrast.arm} {contrast.effect:.3g} × {interval} ▲ better"
        assert any(shown in row.text for row in page.all("tr", within="comparison"))
    intro = page.by_id("comparison").text
    assert "The interval has the level of the verdict: 95 %, or the level that is written beside it" in intro


def test_the_sign_flip_is_reported_where_there_is_one() -> None:
    report = synthetic_report()
    first, *others = report.analysis.contrasts
    contrasts = (replace(first, p=0.0156, p_sign_flip=0.0078), *others)
    page = Page(render(replace(report, analysis=replace(report.analysis, contrasts=contrasts))))
    rows = [row.text for row in page.all("tr", within="comparison")]
    assert sum(" 0.0156 0.0078 " in row for row in rows) == 1
    assert sum(" sign-flip p " in row for row in rows) == 3


def test_values_carry_their_units(page: Page) -> None:
    cells = {cell.text for cell in page.all("td", within="comparison")}
    assert {"96 KiB", "192 KiB", "576 KiB", "0 B"} <= cells
    assert any(text.endswith(" tokens/s") for text in cells)
    assert any(text.endswith(" ms") for text in cells)


def test_every_id_is_unique_and_every_inner_link_leads_somewhere(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    targets = [value[1:] for e in page.elements if (value := e.attributes.get("href", "")).startswith("#")]
    targets += [name for e in page.elements for name in e.attributes.get("aria-labelledby", "").split()]
    assert len(targets) > 30
    assert set(targets) <= set(page.ids)


def test_figures_are_described_and_lead_to_their_samples(page: Page) -> None:
    figures = page.all("figure")
    assert [figure.attributes["id"] for figure in figures] == [
        "figure-effect",
        "figure-spread",
        "figure-formula-1",
        "figure-drift",
        "figure-resources",
    ]
    for figure in figures:
        name = figure.attributes["id"]
        links = [link.attributes["href"] for link in page.all("a", within=name)]
        of_conditions = ["#samples-1", "#samples-2", "#samples-3"]
        assert links == (["#samples"] if name == "figure-resources" else of_conditions)
        drawings = page.all("svg", within=name)
        titles = page.all("title", within=name)
        assert len(titles) == len(drawings) > 0
        assert all(len(title.text) > 20 for title in titles)
    assert len(page.all("svg", within="figure-spread")) == 3
    assert len(page.all("svg", within="figure-formula-1")) == 4


def test_nothing_is_loaded_and_only_one_script_runs(html: str, page: Page) -> None:
    assert page.other_scripts == page.all("iframe") == page.all("img") == []
    assert [one.attributes for one in page.all("script")] == [{}]
    loads = [
        v
        for e in page.elements
        for k, v in e.attributes.items()
        if k in ("src", "srcset", "data", "xlink:href")
    ]
    assert loads == []
    assert [e.attributes["href"] for e in page.all("link")] == ["data:,"]
    assert "http:" not in html
    assert "https:" not in html
    assert "@import" not in html


def test_every_table_has_a_caption_and_headers(page: Page) -> None:
    tables = page.all("table")
    assert len(page.all("caption")) == len(tables) > 20
    assert all(header.attributes.get("scope") in ("row", "col") for header in page.all("th"))


def test_invariants_show_the_worst_case_and_fold_the_rest(page: Page) -> None:
    rows = [row.text for row in page.all("tr", within="invariants")]
    assert "cache-parity cache=dynamic ✓ passed 2 0 3.4e-07 1e-05 128 0" in rows
    assert len([d for d in page.all("details", within="invariants") if "open" not in d.attributes]) == 4 + 1


def test_method_tells_the_machine_and_the_margins(page: Page) -> None:
    text = page.by_id("method").text
    for part in (
        "no NVIDIA driver on this machine",
        "decode tokens per second ± 5 % (time, default)",
        "cache bytes exact (bytes, default)",
    ):
        assert part in text
    assert any(
        "cache=static 30 387.2 MiB / 392.7 MiB 98 % / 99 % – –" in row.text
        for row in page.all("tr", within="method")
    )


def test_the_end_of_the_page_tells_how_to_repeat_it_and_where_it_was_measured(page: Page) -> None:
    repeat, environment = page.by_id("repeat").text, page.by_id("environment").text
    assert "harness run studies/kv_cache.yaml --scale cpu" in repeat
    assert "question: " + QUESTION in repeat
    for part in ("Example CPU 9000, 2 cores", "packages.torch 2.13.0", "git dirty yes"):
        assert part in environment


def test_equal_input_gives_equal_bytes(html: str) -> None:
    assert render(synthetic_report()) == html


def test_texts_of_the_study_never_become_markup() -> None:
    attack = "<script>alert('1')</script> & \"$x_1$\""
    levels = ["none", "<img src=x onerror=a>", "$\\frac$"]
    report = synthetic_report(study(question=attack, compare={"cache": levels}, claims={}))
    analysis = replace(
        report.analysis, answer=attack, warnings=(attack,), invalid={report.loaded.arms[1].name: attack}
    )
    page = Page(render(replace(report, analysis=analysis, command=attack, environment={attack: attack})))
    assert page.other_scripts == page.all("img") == []
    assert page.all("h1")[0].text == attack
    assert attack in page.by_class("banner")[0].text
    labels = {text.text for text in page.all("text")}
    assert {"<img src=x onerror=a>", "$\\frac$"} <= labels


def test_a_report_needs_no_torch() -> None:
    program = (
        "import sys\n"
        "from harness.report.build import render\n"
        "from tests.report.synthetic import study, synthetic_report\n"
        "assert '<figure' in render(synthetic_report(study(design={'rounds': 2}), steps=1))\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
