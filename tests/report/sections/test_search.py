"""What the report and the terminal say about a search and about what was left of it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from harness.report.build import render
from harness.report.sections.search import headline, search_view
from harness.search.earlier_proofs import EarlierProof
from harness.search.findings import SearchFindings
from harness.study.schema import FactorLabel
from tests.report.parsed import Page
from tests.report.synthetic import synthetic_report
from tests.support.made_up_search import LR, MIXED, made_up_search, report_of_search

LOSS, SPEED, BLEU = "validation_loss", "training_tokens_per_second", "bleu"


def searched(before: float, best: float, name: str = LOSS) -> SearchFindings:
    values = iter([before, best])
    return made_up_search(LR, lambda _: [next(values)], objectives=[name], points=2)


@pytest.mark.parametrize(
    ("name", "before", "best", "proof", "said"),
    [
        (
            LOSS,
            4.0,
            3.836,
            (0.988, 0.978, 0.997),
            (
                "Of the gain of 4.1 % in validation loss that the search saw at point 1, 1.2 % (0.3 to 2.2 "
                "%) is left on fresh seeds."
            ),
        ),
        (
            SPEED,
            100.0,
            150.0,
            (2.4, 2.2, 2.5),
            (
                "The search saw a gain of 50 % in training tokens per second at point 1, and it did not "
                "shrink: on fresh seeds it is 140 % (120 to 150 %)."
            ),
        ),
        (
            LOSS,
            4.0,
            3.0,
            (1.02, 0.99, 1.05),
            (
                "Nothing of the gain of 25 % in validation loss that the search saw at point 1 is left: on "
                "fresh seeds it is 2 % worse (gain -5 to 1 %)."
            ),
        ),
        (
            LOSS,
            3.0,
            3.3,
            (1.02, 0.99, 1.05),
            (
                "The search found nothing better than the arm with which it began. The best other point, "
                "point 1, was 10 % worse in validation loss, and was measured all the same. On fresh seeds "
                "it is 2 % worse (gain -5 to 1 %)."
            ),
        ),
        (
            LOSS,
            math.inf,
            3.3,
            (0.5, 0.4, 0.6),
            (
                "The arm with which the search began has no validation loss there with which point 1 could "
                "be compared. On fresh seeds it is 50 % better (gain 40 to 60 %)."
            ),
        ),
        (
            LOSS,
            4.0,
            3.0,
            None,
            (
                "The search saw a gain of 25 % in validation loss at point 1. The proof has no valid figure "
                "for it: an invariant broke."
            ),
        ),
        (
            LOSS,
            4.0,
            3.0,
            (0.9, 0.0, math.inf),
            (
                "Of the gain of 25 % in validation loss that the search saw at point 1, 10 % (unbounded) is "
                "left on fresh seeds."
            ),
        ),
        (
            BLEU,
            20.0,
            23.5,
            (1.25, -0.5, 3.0),
            (
                "Of the gain of 3.5 in BLEU that the search saw at point 1, 1.25 (-0.5 to 3) is left on "
                "fresh seeds."
            ),
        ),
    ],
)
def test_the_shrinkage_is_said_in_words(
    name: str, before: float, best: float, proof: tuple[float, float, float] | None, said: str
) -> None:
    report = report_of_search(searched(before, best, name), **{name: proof})
    assert headline(report)[-1] == said
    page = Page(render(report))
    assert [line.text for line in page.by_class("answer")][1:] == [said]


def test_the_terminal_says_how_many_points_there_were_and_which_is_the_best() -> None:
    report = report_of_search(
        made_up_search(
            MIXED,
            lambda point: [math.inf if point["batch"] == 64 else point["batch"] / 10],
            points=20,
            ended={2: ("pruned", "given up"), 5: ("failed", "broken"), 7: ("open", "")},
        ),
        validation_loss=(0.9, 0.8, 1.1),
    )
    search = report.search
    assert search is not None
    diverged = sum(point.state == "diverged" for point in search.points)
    first, best, _ = headline(report)
    assert first == (
        f"20 points: {17 - diverged} complete, {diverged} diverged, which counts as the worst value, "
        "1 pruned, 1 failed, 1 not finished"
    )
    point = search.best["best"]
    assert best.startswith(
        f"best: point {point.number} (optimizer.lr={float(point.names['optimizer.lr']):.4g}, "
    )
    assert best.endswith("validation loss 0.8 nats/token, before 0.8 nats/token")


def test_every_proven_point_is_named_on_every_objective() -> None:
    values = iter([(4.0, 100.0), (3.0, 90.0), (5.0, 150.0)])
    search = made_up_search(LR, lambda _: next(values), objectives=[LOSS, SPEED], points=3)
    report = report_of_search(
        search, validation_loss=(0.9, 0.8, 0.95), training_tokens_per_second=(1.0, 1.0, 1.0)
    )
    view = search_view(report)
    assert view is not None
    assert view.levels == ("best_1", "best_2")
    assert view.left == (
        (
            "Of the gain of 25 % in validation loss that the search saw at best_1 (point 1), 10 % (5 to 20 "
            "%) is left on fresh seeds."
        ),
        (
            "In training tokens per second the search saw best_1 (point 1) 10 % worse than where it began. "
            "On fresh seeds it is no different (gain 0 to 0 %)."
        ),
        (
            "In validation loss the search saw best_2 (point 2) 25 % worse than where it began. On fresh "
            "seeds it is 10 % better (gain 5 to 20 %)."
        ),
        (
            "Nothing of the gain of 50 % in training tokens per second that the search saw at best_2 (point "
            "2) is left: on fresh seeds it is no different (gain 0 to 0 %)."
        ),
    )
    assert [(row.level, row.metric, row.seen, row.proven) for row in view.shrinkage] == [
        ("best_1", "validation loss", "0.75 ×", "0.9 ×"),
        ("best_1", "training tokens per second", "0.9 ×", "1.000 ×"),
        ("best_2", "validation loss", "1.25 ×", "0.9 ×"),
        ("best_2", "training tokens per second", "1.5 ×", "1.000 ×"),
    ]


def test_the_rule_tells_the_method_the_seeds_and_the_pruner() -> None:
    search = made_up_search(
        MIXED,
        lambda point: [point["batch"]],
        points=12,
        seeds=4,
        seed=3,
        sampler={"kind": "cma-es"},
        pruner={"kind": "wilcoxon"},
    )
    view = search_view(report_of_search(search, validation_loss=(0.9, 0.8, 1.1)))
    assert view is not None
    rule = " ".join(view.rule)
    for part in (
        "asked 12 points from the sampler cma-es (population by its default, seed 3): 12 complete.",
        "its median validation loss (lower is better) over seeds 2000 to 2003.",
        "The pruner wilcoxon (p 0.1, startup 2) gave up points",
        "Point 0 is the arm with which the search began.",
        "Only these measurements decide the claims.",
    ):
        assert part in rule


@pytest.mark.parametrize(("rate", "at_the_edge"), [("0.1", True), ("0.09", True), ("0.05", False)])
def test_a_best_point_at_the_edge_of_the_space_is_named(rate: str, *, at_the_edge: bool) -> None:
    search = searched(3.0, 2.0)
    best = replace(search.points[1], names={"optimizer.lr": rate})
    view = search_view(report_of_search(replace(search, points=(search.points[0], best))))
    assert view is not None
    edge = "The lr of best is at the edge of its range, so better values may lie outside."
    assert (edge in view.rule) is at_the_edge


def test_the_space_says_when_a_parameter_exists() -> None:
    search = made_up_search(MIXED, lambda point: [point["batch"]], points=12)
    view = search_view(report_of_search(search, validation_loss=(0.9, 0.8, 1.1)))
    assert view is not None
    assert [(row.name, row.path, row.values, row.when) for row in view.parameters] == [
        ("lr", "optimizer.lr", "0.0001 to 0.1, log", ""),
        ("optimizer", "", "adamw, sgd", ""),
        ("momentum", "optimizer.momentum", "0.5 to 0.99", "optimizer is sgd"),
        ("batch", "", "whole numbers, 8 to 64, in steps of 8", ""),
        ("tied", "model.tied", "true, false", ""),
    ]
    began = dict(
        zip([row.name for row in view.parameters], [row.points[0] for row in view.parameters], strict=True)
    )
    assert (began["optimizer"] == "sgd") == (began["momentum"] != "–")


def test_labels_of_the_study_name_its_parameters_and_their_choices() -> None:
    search = made_up_search(MIXED, lambda point: [point["batch"]], points=12)
    report = report_of_search(search, validation_loss=(0.9, 0.8, 1.1))
    labels = {
        "optimizer": FactorLabel(levels={"sgd": "plain descent"}),
        "optimizer.momentum": FactorLabel(label="inertia"),
        "batch": FactorLabel(unit="rows"),
    }
    declared = report.loaded.study.model_copy(update={"labels": labels})
    report = replace(report, loaded=replace(report.loaded, study=declared))
    view = search_view(report)
    assert view is not None
    rows = {row.path or row.name: row for row in view.parameters}
    assert rows["optimizer.momentum"].name == "inertia"
    assert rows["optimizer.momentum"].when == "optimizer is plain descent"
    assert rows["optimizer"].values == "adamw, plain descent"
    page = Page(render(report))
    heads = [cell.text for cell in page.all("th", within="part-proof-points")]
    assert {"inertia", "batch (rows)"} <= set(heads)


def test_an_arm_outside_of_the_space_is_said_to_be_outside() -> None:
    search = searched(4.0, 3.0)
    outside = replace(search, points=(replace(search.points[0], names={}), search.points[1]))
    view = search_view(report_of_search(outside, validation_loss=(0.9, 0.8, 1.1)))
    assert view is not None
    assert "Its settings are not a point of the space." in " ".join(view.rule)
    assert view.parameters[0].points[0] == "–"


def test_earlier_proofs_are_looks() -> None:
    earlier = (
        EarlierProof(
            run="abc-1",
            date="2031-01-02T03:04:05+00:00",
            points={"best": {"optimizer.lr": 0.0123456, "optimizer.kind": "sgd", "model.tied": True}},
            verdicts={"proof": "undecided"},
        ),
        EarlierProof(
            run="def-1", date="2031-01-03T03:04:05+00:00", points={"best": {"batch": 8}}, verdicts={}
        ),
    )
    report = report_of_search(
        replace(searched(4.0, 3.0), earlier_proofs=earlier), validation_loss=(0.9, 0.8, 1.1)
    )
    page = Page(render(report))
    assert "Searches of this study were proven 2 times before." in page.by_id("part-proof-search").text
    assert [line.text for line in page.all("li", within="part-proof-search")] == [
        (
            "2031-01-02, run abc-1: best (optimizer.lr 0.01235, optimizer.kind sgd, model.tied true); proof "
            "undecided"
        ),
        "2031-01-03, run def-1: best (batch 8); not judged",
    ]


def test_the_method_names_the_run_of_the_search_and_its_chain() -> None:
    page = Page(render(report_of_search(searched(4.0, 3.0), validation_loss=(0.9, 0.8, 1.1))))
    rows = {row.text for row in page.all("tr", within="part-proof-method")}
    assert {"search run 5ea2c45ea2c4-1", "search chain cccccccccccccccc"} <= rows


def test_a_study_without_a_search_says_nothing_of_one() -> None:
    report = synthetic_report()
    assert headline(report) == []
    page = Page(render(report))
    assert "search" not in page.by_id("method").text
    assert not {"search", "search-figures", "points"} & set(page.ids)
