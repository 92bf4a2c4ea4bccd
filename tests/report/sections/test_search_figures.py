"""Which figures a search has, and what they say about what they do not show."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from harness.report.build import render
from harness.report.plots import searched
from harness.report.sections.search_figures import SearchFiguresView, search_figures_view
from harness.search.findings import SearchFindings
from tests.report.parsed import Page
from tests.support.made_up_search import LR, MIXED, made_up_search, report_of_search

BOTH = ("validation_loss", "training_tokens_per_second")


def mixed(point: Any) -> list[float]:
    return [2 + abs(math.log10(point["optimizer.lr"]) + 2.5) + point["batch"] / 1000]


def viewed(search: SearchFindings) -> SearchFiguresView:
    effects = {objective.name: (0.9, 0.85, 1.05) for objective in search.objectives}
    view = search_figures_view(report_of_search(search, **effects))
    assert view is not None
    return view


def anchors(view: SearchFiguresView) -> list[str]:
    return [figure.anchor.removeprefix("part-proof-figure-search-") for figure in view.figures]


def test_one_parameter_needs_no_importance_and_no_parallel_axes() -> None:
    view = viewed(made_up_search(LR, mixed_lr, points=25))
    assert anchors(view) == ["history", "slices"]
    assert view.missing == ()


def mixed_lr(point: Any) -> list[float]:
    return [2 + abs(math.log10(point["optimizer.lr"]) + 2.5)]


def test_several_parameters_have_a_panel_each() -> None:
    view = viewed(made_up_search(MIXED, mixed, points=25))
    assert anchors(view) == ["history", "importance", "slices", "parallel"]
    assert [len(figure.panels) for figure in view.figures] == [1, 1, 5, 1]
    assert "Some parameters exist only at some points" in view.figures[2].caption
    assert view.figures[1].left_out == ()


def test_several_objectives_have_a_front_and_their_proven_points() -> None:
    view = viewed(
        made_up_search(
            MIXED, lambda point: [*mixed(point), 100.0 + point["batch"]], objectives=BOTH, points=25
        )
    )
    assert anchors(view) == ["history", "importance", "slices", "parallel", "front", "proven"]
    assert [len(figure.panels) for figure in view.figures] == [2, 2, 10, 1, 1, 1]
    assert view.figures[-1].caption.endswith("By these intervals, none of them dominates another.")


def test_few_points_are_a_reason_to_doubt_importance() -> None:
    view = viewed(made_up_search(MIXED, mixed, points=19))
    assert view.figures[1].left_out == (
        (
            "Only 19 points could be compared. With fewer than 20 the best quarter has fewer than five "
            "points, so these shares may be chance."
        ),
    )


@pytest.mark.parametrize("points", [2, 30])
def test_equal_values_are_drawn_and_decide_nothing(points: int) -> None:
    view = viewed(made_up_search(MIXED, lambda _: [2.5], points=points))
    assert anchors(view) == ["history", "slices", "parallel"]
    assert view.missing == ("Which parameters matter cannot be said: no point is better than the others.",)


def test_points_that_are_not_at_their_place_or_not_drawn_are_counted() -> None:
    def value(point: Any) -> list[float]:
        return [math.inf if point["batch"] == 8 else 1e6 if point["batch"] == 16 else mixed(point)[0]]

    search = made_up_search(
        MIXED, value, points=60, ended={3: ("failed", "broken"), 4: ("pruned", "given up"), 6: ("open", "")}
    )
    states = [point.state for point in search.points]
    far = sum(point.median(search.objectives[0]) == 1e6 for point in search.points)
    history = viewed(search).figures[0]
    assert history.left_out == (
        "3 points have no value and cannot be drawn.",
        f"A triangle at the end of the axis is a point beyond it ({far} in all).",
        f"A cross at the end of the axis is a point whose training diverged ({states.count('diverged')}).",
    )


def test_of_very_many_points_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searched, "MOST_POINTS", 30)
    history = viewed(made_up_search(LR, mixed_lr, points=100)).figures[0]
    (note,) = history.left_out
    assert note.startswith("Of 100 points, 3")
    assert note.endswith("are drawn, evenly spread over their order.")


@pytest.mark.parametrize(
    ("space", "value", "objectives", "points"),
    [
        (LR, mixed_lr, ["validation_loss"], 12),
        (MIXED, mixed, ["validation_loss"], 40),
        (MIXED, lambda point: [*mixed(point), 100.0 + point["batch"]], BOTH, 40),
        (MIXED, lambda _: [2.5], ["validation_loss"], 2),
    ],
)
def test_the_page_is_the_same_for_the_same_search(
    space: dict[str, Any], value: Callable[[Any], list[float]], objectives: list[str], points: int
) -> None:
    def rendered() -> str:
        search = made_up_search(space, value, objectives=objectives, points=points)
        return render(report_of_search(search, **dict.fromkeys(objectives, (0.9, 0.85, 1.05))))

    html = rendered()
    assert html == rendered()
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    targets = [e.attributes["href"][1:] for e in page.all("a") if e.attributes["href"].startswith("#")]
    targets += [name for e in page.elements for name in e.attributes.get("aria-labelledby", "").split()]
    assert set(targets) <= set(page.ids)
    assert len(page.all("caption")) == len(page.all("table"))
    assert page.other_scripts == []


def test_names_of_the_study_never_become_markup() -> None:
    space = {
        "a<b>x": {"low": 0.0, "high": 1.0},
        "kind": {"choices": ["<script>", "$\\frac$", "plain"]},
    }
    search = made_up_search(
        space,
        lambda point: [1 + point["a<b>x"]],
        points=30,
        ended={4: ("failed", "<img src=x onerror=a>")},
    )
    page = Page(render(report_of_search(search, validation_loss=(0.9, 0.85, 1.05))))
    assert page.other_scripts == page.all("img") == page.all("b", within="part-proof-search-figures") == []
    labels = {text.text for text in page.all("text")}
    assert {"<script>", "$\\frac$", "a<b>x"} <= labels
