"""The figure of the effect of the beam width: BLEU, the model's own score, and the length."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.report.build import render
from harness.report.inputs import ReportInput, ReportSamples
from harness.report.plots.width import width_plots
from harness.scoring.registry import stored_score
from harness.scoring.scores.translation import bleu, length_ratio
from harness.scoring.sentences import StoredStatistics
from harness.tasks.base import Task
from harness.tasks.continue_text import ContinueText
from tests.analysis.written import Written, written_study
from tests.report.synthetic import study, synthetic_report
from tests.report.texts import report_of_texts
from tests.tasks.tiny_recipes import RECIPE


@pytest.fixture(scope="module")
def searched() -> ReportInput:
    """Greedy decoding and beams of width 2 and 4, with and without division by the length. Wider beams
    without division write shorter texts.
    """
    levels = {
        "greedy": ({"kind": "greedy"}, 12),
        "mean-2": ({"kind": "beam", "width": 2}, 12),
        "sum-2": ({"kind": "beam", "width": 2, "length_penalty": {"kind": "gnmt", "alpha": 0.0}}, 9),
        "sum-4": ({"kind": "beam", "width": 4, "length_penalty": {"kind": "gnmt", "alpha": 0.0}}, 6),
    }
    loaded = written_study(study="written/width", compare={"decoding": list(levels)})
    tasks: dict[tuple[str, str], Task] = {
        (arm.name, ""): ContinueText.read(
            {
                "model": {"recipe": "tiny", "train": RECIPE},
                "prompts": {"corpus": "python-docs", "split": "test", "count": 2, "tokens": 8},
                "new_tokens": 12,
                "decoding": levels[arm.names["decoding"]][0],
            }
        )
        for arm in loaded.arms
    }
    planted = Written(right=dict.fromkeys(levels, 0.8), loaded=loaded, count=60)
    frames = planted.frames()
    sentences = {}
    for trial, arm in zip(sorted(frames.sentences), loaded.arms, strict=True):
        written, words = frames.sentences[trial], levels[arm.names["decoding"]][1]
        outputs = tuple(" ".join(text.split()[:words]) for text in written.outputs)
        scores = bleu(outputs, written.references)
        model_score = stored_score("model_score", "x", [(-0.5 * words, words)] * 60)
        sentences[trial] = replace(
            written,
            outputs=outputs,
            scores={
                "bleu": StoredStatistics.from_statistics(scores),
                "length_ratio": StoredStatistics.from_statistics(length_ratio(scores)),
                "model_score": StoredStatistics.from_statistics(model_score),
            },
        )
    bare = synthetic_report(study(design={"rounds": 2}), steps=1)
    return replace(
        bare,
        loaded=replace(loaded, tasks=tasks),
        analysis=planted.analysis(),
        samples=ReportSamples.from_frame(frames.samples),
        sentences=sentences,
    )


def test_the_effect_of_the_beam_width_is_drawn_for_each_score(
    searched: ReportInput,
) -> None:
    plots = {plot.title: {line.label: line.points for line in plot.lines} for plot in width_plots(searched)}
    assert list(plots) == ["BLEU", "model score per token", "model score per sentence", "length ratio"]
    for lines in plots.values():
        assert {label: [width for width, _, _ in points] for label, points in lines.items()} == {
            "by log P / length": [1, 2],
            "by log P": [1, 2, 4],
        }
        for points in lines.values():
            assert all(ends.low <= value <= ends.high for _, value, ends in points)
    assert [value for _, value, _ in plots["length ratio"]["by log P"]] == [1.0, 0.75, 0.5]
    assert [value for _, value, _ in plots["model score per sentence"]["by log P"]] == [-6.0, -4.5, -3.0]
    assert {value for _, value, _ in plots["model score per token"]["by log P"]} == {-0.5}
    worse = [value for _, value, _ in plots["BLEU"]["by log P"]]
    assert worse == sorted(worse, reverse=True)
    page = render(searched)
    assert "Effect of the beam width" in page
    assert "the model prefers shorter texts. n = 60 texts." in page


def test_arms_that_search_at_one_width_have_no_such_figure() -> None:
    assert width_plots(report_of_texts()) == []
