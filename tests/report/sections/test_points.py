"""The table of all points: its orders, its cells, and the CSV."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import math
from dataclasses import replace

import pytest

from harness.report.build import render
from harness.report.inputs import ReportInput
from harness.report.sections import points
from harness.report.sections.points import PointsView, points_view
from harness.search.findings import SearchFindings
from tests.report.parsed import Page
from tests.support.made_up_search import LR, MIXED, made_up_search, report_of_search

ENDED = {2: ("pruned", "given up after 2 seeds"), 5: ("failed", "<b>out of memory</b>"), 7: ("open", "")}


@pytest.fixture(scope="module")
def search() -> SearchFindings:
    return made_up_search(
        MIXED,
        lambda point: [math.inf if point["batch"] == 64 else point["batch"] + point["optimizer.lr"]],
        points=25,
        ended=ENDED,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def report(search: SearchFindings) -> ReportInput:
    return report_of_search(search, validation_loss=(0.9, 0.8, 1.1))


def viewed(report: ReportInput) -> PointsView:
    view = points_view(report)
    assert view is not None
    return view


def in_order(view: PointsView, name: str) -> list[int]:
    """The numbers of the points in the order with this name."""
    order = view.orders.index(name)
    return [row.number for row in sorted(view.rows, key=lambda row: row.ranks[order])]


def test_the_best_come_first_then_those_without_a_value(report: ReportInput, search: SearchFindings) -> None:
    view = viewed(report)
    assert [row.number for row in view.rows] == in_order(view, "best first")
    states = [row.state for row in view.rows]
    assert states[-3:] == ["pruned", "failed", "open"]
    complete = states.count("complete")
    assert [row.number for row in view.rows][:complete] == [point.number for point in search.ranked]
    assert set(states[complete:-3]) == {"diverged"}


def test_there_is_an_order_for_every_column(report: ReportInput, search: SearchFindings) -> None:
    view = viewed(report)
    names = ("lr", "optimizer", "momentum", "batch", "tied")
    assert view.parameters == names
    assert view.orders == ("best first", "as asked", *names, "longest first")
    assert in_order(view, "as asked") == list(range(25))
    by_lr = [float(search.points[number].names["optimizer.lr"]) for number in in_order(view, "lr")]
    assert by_lr == sorted(by_lr)
    by_tied = [search.points[number].names["model.tied"] for number in in_order(view, "tied")]
    assert by_tied == sorted(by_tied, key=["true", "false"].index)
    momentum = [
        search.points[number].names.get("optimizer.momentum") for number in in_order(view, "momentum")
    ]
    there = [float(text) for text in momentum if text is not None]
    assert momentum[len(there) :] == [None] * (25 - len(there))
    assert there == sorted(there)
    longest = [search.points[number].seconds for number in in_order(view, "longest first")]
    assert longest == sorted(longest, reverse=True)
    for order in range(len(view.orders)):
        assert sorted(row.ranks[order] for row in view.rows) == list(range(1, 26))


def test_the_page_sorts_without_a_script(report: ReportInput) -> None:
    page = Page(render(report))
    assert page.other_scripts == []
    switches = page.all("input", within="part-proof-points")
    assert [switch.attributes["value"] for switch in switches] == [str(n) for n in range(1, 9)]
    assert ["checked" in switch.attributes for switch in switches] == [True] + [False] * 7
    (style,) = page.all("style", within="part-proof-points")
    assert '.sorted:has([value="8"]:checked) tbody tr { order: var(--o8); }' in style.text
    rows = [row for row in page.all("tr", within="part-proof-points") if "style" in row.attributes]
    assert len(rows) == 25
    assert all(row.attributes["style"].count("--o") == 8 for row in rows)


def test_values_are_short_in_the_page_and_complete_in_the_csv(
    report: ReportInput, search: SearchFindings
) -> None:
    view = viewed(report)
    best = search.best["best"]
    row = next(row for row in view.rows if row.number == best.number)
    assert row.tags == ("proven: best",)
    assert row.parameters[0] == f"{float(best.names['optimizer.lr']):.4g}"
    assert next(row for row in view.rows if row.number == 0).tags == ("began here",)
    text = gzip.decompress(base64.b64decode(view.csv.href.partition("base64,")[2])).decode()
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["point"] for line in lines] == [str(number) for number in range(25)]
    assert [line["optimizer.lr"] for line in lines] == [
        point.names["optimizer.lr"] for point in search.points
    ]
    assert lines[5]["reason"] == "<b>out of memory</b>"


def test_states_and_reasons_are_shown_and_never_become_markup(report: ReportInput) -> None:
    page = Page(render(report))
    rows = {row.text.split()[0]: row.text for row in page.all("tr", within="part-proof-points")}
    assert rows["2"].endswith("– pruned 3.5 s given up after 2 seeds")
    assert rows["5"].endswith("– failed 6.5 s <b>out of memory</b>")
    assert rows["7"].endswith("– open 1.5 s")
    assert any(" diverged diverged " in row for row in rows.values())


def test_a_pruned_point_says_how_many_seeds_it_has() -> None:
    search = made_up_search(LR, lambda _: [3.0], points=3, seeds=4)
    some = replace(
        search.points[2], state="pruned", values={"validation_loss": (5.0, 7.0)}, reason="given up"
    )
    report = report_of_search(replace(search, points=(*search.points[:2], some)), validation_loss=None)
    (cell,) = viewed(report).rows[-1].values
    assert (cell.text, cell.note) == ("6 nats/token", "2 seeds of 4")


def test_each_objective_has_an_order_and_the_front_is_marked() -> None:
    values = iter([(4.0, 100.0), (3.0, 90.0), (5.0, 150.0), (6.0, 80.0)])
    search = made_up_search(
        LR, lambda _: next(values), objectives=["validation_loss", "training_tokens_per_second"], points=4
    )
    view = viewed(report_of_search(search, validation_loss=None, training_tokens_per_second=None))
    assert in_order(view, "best validation loss first") == [1, 0, 2, 3]
    assert in_order(view, "best training tokens per second first") == [2, 0, 1, 3]
    assert {row.number: row.tags for row in view.rows} == {
        0: ("began here", "Pareto front"),
        1: ("proven: best_1", "Pareto front"),
        2: ("proven: best_2", "Pareto front"),
        3: (),
    }


def test_of_very_many_points_the_best_are_shown(monkeypatch: pytest.MonkeyPatch, report: ReportInput) -> None:
    monkeypatch.setattr(points, "MOST_ROWS", 10)
    view = viewed(report)
    assert (len(view.rows), view.total, view.csv.total) == (10, 25, 25)
    assert all(sorted(row.ranks[order] for row in view.rows) == list(range(1, 11)) for order in range(8))
    assert "The table shows the best 10 of 25 points." in Page(render(report)).by_id("part-proof-points").text
