"""Numbers that a browser would divide at the end of a line stand in spans that it does not divide."""

from __future__ import annotations

import re

import pytest

from harness.report.unbroken import unbroken


@pytest.mark.parametrize(
    "number",
    [
        "1.1e-06",
        "1e-05",
        "-3e-4",
        "2.5e+12",
        "0.94–1.02",
        "-0.3–+0.9",
        "1,234–1,300",
        "1e-3–2e-3",
        "2031-05-06",
    ],
)
def test_a_number_with_a_hyphen_or_a_dash_inside_is_not_divided(number: str) -> None:
    assert (
        unbroken(f"<td>about {number}, or so</td>")
        == f'<td>about <span class="n">{number}</span>, or so</td>'
    )


@pytest.mark.parametrize(
    "text",
    [
        "12",
        "-5",
        "0.5",
        "1,234",
        "t2-00e1",
        "12345678901e-1",
        "5f0c2e9a-1",
        "a1e-5",
        "&#39;5",
        "v1.2e-5",
        "new-5e-5x",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert unbroken(f"<td>{text}</td>") == f"<td>{text}</td>"


@pytest.mark.parametrize(
    "page",
    [
        '<td data-value="1e-05" title="0.94–1.02">x</td>',
        "<style>.a { width: 1e-05px }</style>",
        "<script>const a = 1e-05;</script>",
        "<svg><title>1e-05</title><text>1e-05</text></svg>",
        "<svg><svg><path d='M 0 0'/></svg><rect/></svg>",
        "<pre><code>lr: 1e-05</code></pre>",
        "<title>lr 1e-05</title>",
    ],
)
def test_tags_drawings_scripts_and_listings_stay_as_they_are(page: str) -> None:
    assert unbroken(page) == page


def test_the_text_of_the_page_stays_the_same() -> None:
    page = "<p>lr=1e-05 (0.94–1.02)</p><p>on 2031-05-06 at 07:08</p>"
    assert unbroken(page).count("<span") == 3
    assert re.sub("<[^>]*>", "", unbroken(page)) == re.sub("<[^>]*>", "", page)
