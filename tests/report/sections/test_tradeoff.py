"""Quality against cost: which arms are dominated, and which arms are the same in both parts."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.models.decoding.config import BeamSearch
from harness.report.inputs import ReportInput
from harness.report.plots.tradeoff import tradeoffs
from harness.report.sections.tradeoff import tradeoff_views
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.tasks.translate import Translate
from tests.report.texts import report_of_costs, report_of_texts

DECODING = Path(__file__).parents[3] / "studies" / "decoding.yaml"


@pytest.fixture(scope="module")
def report() -> ReportInput:
    return report_of_texts()


@pytest.fixture(scope="module")
def cost(report: ReportInput) -> ReportInput:
    return report_of_costs(report)


def test_a_slower_arm_that_is_no_better_is_dominated_and_named(
    report: ReportInput, cost: ReportInput
) -> None:
    [tradeoff] = tradeoffs((report, cost))
    assert tradeoff.costs == ("sentence_seconds", "peak_tensor_bytes")
    assert [point.label for point in tradeoff.points] == ["greedy", "beam", "wide"]
    assert tradeoff.front.front == ("greedy", "beam")
    assert tradeoff.front.dominated == {"wide": ("greedy", "beam")}
    [view] = tradeoff_views((report, cost))
    assert len(view.panels) == 2
    assert view.columns == ("BLEU", "sentence seconds", "peak tensor bytes")
    [block] = view.blocks
    assert block.summary == "all trials (dominated: wide)"
    assert [row.dominated_by for row in block.rows] == ["", "", "greedy, beam"]
    assert block.rows[0].effects == (("0", ""), ("1.000 ×", ""), ("1.000 ×", ""))
    assert block.rows[2].effects[1:] == (("9 ×", "8.1 to 10 ×"), ("9 ×", ""))


def measured(bare: ReportInput, loaded: LoadedStudy, primary: str = "") -> ReportInput:
    """A part of a study in which every arm is a little above the baseline in the primary metric and in
    memory.
    """
    if primary:
        loaded = replace(loaded, study=loaded.study.model_copy(update={"primary": primary}))
    contrast = bare.analysis.contrasts[0]
    contrasts = tuple(
        replace(
            contrast,
            metric=metric,
            arm=arm.name,
            condition=condition.names,
            effect=2.0,
            low=1.5,
            high=2.5,
            verdict="worse",
        )
        for arm in loaded.arms[1:]
        for condition in loaded.conditions
        for metric in (loaded.study.primary, "peak_tensor_bytes")
    )
    return replace(bare, loaded=loaded, analysis=replace(bare.analysis, contrasts=contrasts))


@pytest.fixture(scope="module")
def shipped(report: ReportInput) -> dict[str, ReportInput]:
    """The parts of a study that ships with the harness."""
    return {part.part: measured(report, part) for part in load_study(DECODING, "cpu")}


def test_a_score_stands_against_the_cost_of_the_same_arms_of_the_same_model(
    shipped: dict[str, ReportInput],
) -> None:
    """Of the four parts, two are about the translator. The scores of the language model have no costs of the
    same model.
    """
    assert list(shipped) == ["quality", "cost", "continuation", "speculation"]
    tradeoff = tradeoffs(tuple(shipped.values()))
    assert [(info.parts, info.quality, info.condition) for info in tradeoff] == [
        (("quality", "cost"), "bleu", {"batch": "1"}),
        (("quality", "cost"), "bleu", {"batch": "32"}),
    ]
    for info in tradeoff:
        assert [point.label for point in info.points] == ["greedy", "beam-2", "beam-5", "beam-10", "beam-20"]


def test_arms_of_another_model_or_another_decoding_are_not_the_same(
    report: ReportInput, cost: ReportInput
) -> None:
    def with_task(arm: str, **changes: Any) -> ReportInput:
        tasks = dict(cost.loaded.tasks)
        tasks[arm, ""] = tasks[arm, ""].model_copy(update=changes)
        return replace(cost, loaded=replace(cost.loaded, tasks=tasks))

    [tradeoff] = tradeoffs((report, with_task("decoding=beam", batch=1)))
    assert [point.label for point in tradeoff.points] == ["greedy", "beam", "wide"]
    task = cost.loaded.tasks["decoding=beam", ""]
    assert isinstance(task, Translate)
    another = task.model.model_copy(update={"train": task.model.train.model_copy(update={"updates": 3})})
    for changes in ({"model": another}, {"decoding": BeamSearch(width=7)}):
        [tradeoff] = tradeoffs((report, with_task("decoding=beam", **changes)))
        assert [point.label for point in tradeoff.points] == ["greedy", "wide"]
        assert tradeoffs((report, with_task("decoding=greedy", **changes))) == []


def test_every_picture_says_its_own_metrics_and_which_way_is_better(shipped: dict[str, ReportInput]) -> None:
    """A low self-BLEU is better, and so are many tokens per second."""
    varied = shipped["continuation"]
    timed = measured(varied, varied.loaded, "tokens_per_second")
    first, second = tradeoff_views((*shipped.values(), timed))
    assert (first.anchor, second.anchor) == ("tradeoff", "tradeoff-2")
    assert first.title == "BLEU against sentence seconds and peak tensor bytes"
    assert second.title == "self-BLEU against tokens per second and peak tensor bytes"
    assert second.columns == ("self-BLEU", "tokens per second", "peak tensor bytes")
    assert "; higher BLEU, lower sentence seconds, lower peak tensor bytes are better." in first.caption
    assert (
        "; lower self-BLEU, higher tokens per second, lower peak tensor bytes are better." in second.caption
    )
    assert [
        re.findall("<title[^>]*>(.*?)</title>", panel)[0] for panel in (*first.panels, *second.panels)
    ] == [
        "BLEU against sentence seconds: batch = 1, up and left is better",
        "BLEU against peak tensor bytes: batch = 1, up and left is better",
        "BLEU against sentence seconds: batch = 32, up and left is better",
        "BLEU against peak tensor bytes: batch = 32, up and left is better",
        "self-BLEU against tokens per second: all trials, down and right is better",
        "self-BLEU against peak tensor bytes: all trials, down and left is better",
    ]
    assert [len(view.blocks) for view in (first, second)] == [2, 1]
    assert [row.arm for row in second.blocks[0].rows][:2] == ["greedy", "beam-5"]


def test_less_memory_is_worth_having(report: ReportInput, cost: ReportInput) -> None:
    """A slower arm that is no better but needs less memory is not dominated. If the memory of one arm is
    unknown, memory is not used.
    """
    small = tuple(
        replace(c, effect=0.5, low=0.5, high=0.5)
        if (c.metric, c.arm) == ("peak_tensor_bytes", "decoding=wide")
        else c
        for c in cost.analysis.contrasts
    )
    [tradeoff] = tradeoffs((report, replace(cost, analysis=replace(cost.analysis, contrasts=small))))
    assert tradeoff.front.dominated == {}
    lost = tuple(replace(c, verdict="invalid") if c.metric == "peak_tensor_bytes" else c for c in small)
    [tradeoff] = tradeoffs((report, replace(cost, analysis=replace(cost.analysis, contrasts=lost))))
    assert tradeoff.costs == ("sentence_seconds",)
    assert tradeoff.front.dominated == {"wide": ("greedy", "beam")}


def test_an_unbounded_interval_dominates_nothing_and_is_still_drawn(
    report: ReportInput, cost: ReportInput
) -> None:
    wild = tuple(replace(c, low=0.0, high=float("inf")) for c in cost.analysis.contrasts)
    [view] = tradeoff_views((report, replace(cost, analysis=replace(cost.analysis, contrasts=wild))))
    assert view.blocks[0].summary == "all trials (no arm is dominated)"
