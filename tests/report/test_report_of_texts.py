"""The report of a study whose arms write: scores by group, examples by a rule, quality against cost with what
is dominated.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.cli.export import latex_table, markdown_table
from harness.models.decoding.config import BeamSearch
from harness.report.build import render
from harness.report.examples import examples
from harness.report.inputs import ReportInput
from harness.report.plots.tradeoff import tradeoffs
from harness.report.plots.width import width_plots
from harness.report.sections.method import method_view
from harness.report.sections.tradeoff import tradeoff_views
from harness.report.sections.written import written_view
from harness.scoring import Sentences, bleu, kept, scored
from harness.scoring.sentences import Kept
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.tasks.base import Task
from harness.tasks.translate import Translate
from tests.analysis.written import Written, written_study
from tests.report.parsed import Page
from tests.report.synthetic import study, synthetic_report

DECODING = Path(__file__).parents[2] / "studies" / "decoding.yaml"
RIGHT = {"greedy": 0.6, "beam": 0.66, "wide": 0.6}


def translators(loaded: LoadedStudy) -> LoadedStudy:
    """With the task of each arm: one translator, sampled at several temperatures."""
    train = {
        "corpus": "tatoeba-en-es",
        "tokenizer": {"kind": "bytes"},
        "batch": 4,
        "length": 64,
        "updates": 2,
        "model": {"preset": "000-mt"},
        "optimizer": {"kind": "adamw", "lr": 1e-3},
    }
    tasks: dict[tuple[str, str], Task] = {
        (arm.name, ""): Translate.read(
            {
                "model": {"recipe": "tiny", "train": train},
                "sentences": {"corpus": "tatoeba-en-es"},
                "new_tokens": 12,
                "decoding": {"kind": "sampling", "filters": [{"kind": "temperature", "value": value}]},
            }
        )
        for value, arm in enumerate(loaded.arms, start=1)
    }
    return replace(loaded, tasks=tasks)


@pytest.fixture(scope="module")
def report() -> ReportInput:
    loaded = translators(written_study(study="written/quality"))
    planted = Written(right=RIGHT, loaded=loaded)
    frames = planted.frames()
    bare = synthetic_report(study(design={"rounds": 2}), steps=1)
    return replace(
        bare, loaded=loaded, analysis=planted.analysis(), frame=frames.samples, sentences=frames.sentences
    )


@pytest.fixture(scope="module")
def cost(report: ReportInput) -> ReportInput:
    """Its arms, timed: beam takes 3 times as long as greedy, wide 9 times."""
    loaded = translators(written_study(study="written/cost", primary="sentence_seconds"))
    found = report.analysis.contrasts[0]
    timed = [
        replace(
            found,
            metric=metric,
            arm=f"decoding={arm}",
            effect=ratio,
            low=low * ratio,
            high=ratio / low,
            verdict="worse",
        )
        for arm, ratio in (("beam", 3.0), ("wide", 9.0))
        for metric, low in (("sentence_seconds", 0.9), ("peak_tensor_bytes", 1.0))
    ]
    analysis = replace(report.analysis, contrasts=tuple(timed))
    return replace(report, loaded=loaded, analysis=analysis)


def sentences(*outputs: str) -> Sentences:
    references = ("a b c d", "e f g h", "i j k l")
    return Sentences(
        sources=("one", "two words", "three of them"),
        references=references,
        outputs=outputs,
        unseen=(0, 1, 0),
        scores={"bleu": kept(bleu(outputs, references))},
    )


def test_examples_are_chosen_by_their_rules() -> None:
    arms = {"x": sentences("a b c d", "e f g h", "i j k l"), "y": sentences("a b c d", "q", "i j k z")}
    found = examples(arms, "bleu", seed=0)
    assert (found[0].place, found[0].rule) == (1, "largest disagreement by bleu")
    assert {example.place for example in found} == {0, 1, 2}
    assert found == examples(arms, "bleu", seed=0)


# A row a sentence, a column an arm. The widest is sentence 2: not by the first arm nor by the deviation,
# which is sentence 3; the middle one of the means is sentence 5: of the first arm it would be sentence 2, of
# the best 8, of the worst 6.
NINE = (
    (0.10, 0.10, 0.10),
    (0.57, 0.80, 0.35),
    (0.90, 0.50, 0.50),
    (0.20, 0.20, 0.20),
    (0.30, 0.45, 0.45),
    (0.45, 0.30, 0.30),
    (0.70, 0.70, 0.70),
    (0.60, 0.25, 0.25),
    (0.95, 0.95, 0.95),
)


def arms_of(rows: Sequence[Sequence[float]]) -> dict[str, Sentences]:
    """What arms wrote whose sentences have these scores."""
    texts = tuple(map(str, range(len(rows))))
    return {
        f"arm {place}": Sentences(
            sources=texts,
            references=texts,
            outputs=texts,
            unseen=(0,) * len(rows),
            scores={"model_score": kept(scored("model_score", "x", [(value, 1.0) for value in column]))},
        )
        for place, column in enumerate(zip(*rows, strict=True))
    }


def test_the_widest_and_the_middle_sentence_are_shown_first() -> None:
    for rows, widest, middle in (
        (NINE, 1, 4),
        (NINE[::-1], 7, 4),
        ((*NINE, (2.0, 2.0, 2.0)), 1, 1),  # the sixth of ten is the middle, and shown already
        ((NINE[0], NINE[1], *NINE), 1, 6),  # of equal ones the first
        ((*NINE[:8], (0.95, 0.95, -0.95)), 8, 7),
    ):
        found = examples(arms_of(rows), "model_score", seed=0)
        assert (found[0].place, found[0].rule) == (widest, "largest disagreement by model_score")
        if middle != widest:
            assert (found[1].place, found[1].rule) == (middle, "median by model_score")
        places = [example.place for example in found]
        assert len(places) == len(set(places))


def test_three_more_are_drawn_by_the_seed_from_all_sentences() -> None:
    arms = arms_of(NINE)
    drawn: Counter[int] = Counter()
    for seed in range(400):
        found = examples(arms, "model_score", seed=seed)
        assert [example.place for example in found[:2]] == [1, 4]
        assert {example.rule for example in found[2:]} == {f"random, seed {seed}"}
        wanted = np.random.default_rng(seed).permutation(9)[:3].tolist()
        assert [example.place for example in found[2:]] == [place for place in wanted if place not in (1, 4)]
        drawn.update(example.place for example in found[2:])
    assert set(drawn) == {0, 2, 3, 5, 6, 7, 8}
    assert all(100 < count < 167 for count in drawn.values())  # each in a third of the draws


def test_examples_of_a_report_are_those_of_its_primary_metric_and_its_order_seed(report: ReportInput) -> None:
    for seed in (0, 5):
        study = report.loaded.study
        again = study.model_copy(update={"design": study.design.model_copy(update={"order_seed": seed})})
        view = written_view(replace(report, loaded=replace(report.loaded, study=again)))
        assert view is not None
        wanted = examples(report.written, "bleu", seed=seed)
        assert [(shown.number, shown.rule) for shown in view.examples] == [
            (example.place + 1, example.rule) for example in wanted
        ]
        first = next(iter(report.written.values()))
        assert [shown.source for shown in view.examples] == [first.sources[e.place] for e in wanted]


def test_sentences_with_words_that_training_never_saw_are_scored_apart(report: ReportInput) -> None:
    unseen = tuple(
        place % 5 // 3 * (1 + place % 2) for place in range(300)
    )  # two of five, one or two words each
    found = {trial: replace(each, unseen=unseen) for trial, each in report.sentences.items()}
    view = written_view(replace(report, sentences=found))
    assert view is not None
    assert view.groups[:3] == (("all", 300), ("all words seen in training", 180), ("with unseen words", 120))
    for (_, cells), each in zip(view.rows, report.written.values(), strict=True):
        for cell, wanted in zip(cells[1:3], (False, True), strict=True):
            chosen = [place for place in range(300) if (place % 5 >= 3) is wanted]
            outputs, references = ([texts[i] for i in chosen] for texts in (each.outputs, each.references))
            assert float(cell.split()[0]) == pytest.approx(bleu(outputs, references).corpus_score, abs=1e-3)
        assert len({cell.split()[0] for cell in cells[:3]}) == 3
    for count, group in ((0, "all words seen in training"), (1, "with unseen words")):
        every = {trial: replace(each, unseen=(count,) * 300) for trial, each in report.sentences.items()}
        view = written_view(replace(report, sentences=every))
        assert view is not None
        assert [known for known in view.groups if "training" in known[0] or "unseen" in known[0]] == [
            (group, 300)
        ]


def test_every_sentence_is_in_the_groups_it_belongs_to(report: ReportInput) -> None:
    view = written_view(report)
    assert view is not None
    groups = dict(view.groups)
    assert groups["all"] == 300
    assert sum(count for name, count in groups.items() if name.endswith("words") and name[0].isdigit()) == 300
    arms = [arm.text for arm, _ in view.rows]
    assert arms == ["decoding=greedy", "decoding=beam", "decoding=wide"]
    assert len({len(cells) for _, cells in view.rows}) == 1


def test_the_signature_of_every_score_is_printed_once(report: ReportInput) -> None:
    [written] = {each.scores["bleu"].signature for each in report.sentences.values()}
    assert written.startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    by_trial = {
        trial: replace(
            each,
            scores={
                **each.scores,
                "perplexity_per_token": Kept(signature=f"t{trial % 2}", values=((1.0, 1.0),) * 300),
            },
        )
        for trial, each in report.sentences.items()
    }
    shown = replace(report, sentences=by_trial)
    view = written_view(shown)
    assert view is not None
    assert view.signatures == (
        ("bleu", written),
        ("perplexity per token", "t1"),
        ("perplexity per token", "t0"),
    )
    assert Page(render(shown)).by_id("part-quality-written").text.count(written) == 1


@pytest.mark.parametrize(
    ("table", "told"), [(markdown_table, "\nbleu: `{}`\n"), (latex_table, "\nbleu: \\texttt{{{}}}\n")]
)
def test_a_table_of_scores_is_exported_with_their_signatures(
    report: ReportInput, table: Callable[..., str], told: str
) -> None:
    """Nothing else is below it, and nothing where arms wrote nothing."""
    written = report.sentences.values()
    signature = next(iter(written)).scores["bleu"].signature
    alone = table(report.analysis)
    assert table(report.analysis, written) == alone + told.format(signature)


def test_equal_outputs_stand_side_by_side_once(report: ReportInput) -> None:
    view = written_view(report)
    assert view is not None
    for shown in view.examples:
        texts = [text for _, text in shown.outputs]
        assert len(texts) == len(set(texts))
        assert shown.source
        assert shown.reference
    assert any(
        "decoding=greedy, decoding=wide" in arms for shown in view.examples for arms, _ in shown.outputs
    )


def test_a_slower_arm_that_is_no_better_is_dominated_and_named(
    report: ReportInput, cost: ReportInput
) -> None:
    [found] = tradeoffs((report, cost))
    assert found.costs == ("sentence_seconds", "peak_tensor_bytes")
    assert [point.label for point in found.points] == ["greedy", "beam", "wide"]
    assert found.front.front == ("greedy", "beam")
    assert found.front.dominated == {"wide": ("greedy", "beam")}
    [view] = tradeoff_views((report, cost))
    assert len(view.panels) == 2
    assert view.columns == ("bleu", "sentence seconds", "peak tensor bytes")
    [block] = view.blocks
    assert block.summary == "all trials: dominated is wide"
    assert [row.dominated_by for row in block.rows] == ["", "", "greedy, beam"]
    assert block.rows[0].effects == (("0", ""), ("1.000 ×", ""), ("1.000 ×", ""))
    assert block.rows[2].effects[1:] == (("9 ×", "8.1 to 10 ×"), ("9 ×", ""))


def measured(bare: ReportInput, loaded: LoadedStudy, primary: str = "") -> ReportInput:
    """A part of a study whose arms all came out a little above the baseline, in its primary metric and in
    memory.
    """
    if primary:
        loaded = replace(loaded, study=loaded.study.model_copy(update={"primary": primary}))
    found = bare.analysis.contrasts[0]
    contrasts = tuple(
        replace(
            found,
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
    """The parts of the study that ships."""
    return {part.part: measured(report, part) for part in load_study(DECODING, "cpu")}


def test_a_score_stands_against_the_cost_of_the_same_arms_of_the_same_model(
    shipped: dict[str, ReportInput],
) -> None:
    """Of the four parts, two are of the translator: how varied a language model's texts are costs nothing of
    it.
    """
    assert list(shipped) == ["quality", "cost", "continuation", "speculation"]
    found = tradeoffs(tuple(shipped.values()))
    assert [(info.parts, info.quality, info.condition) for info in found] == [
        (("quality", "cost"), "bleu", {"batch": "1"}),
        (("quality", "cost"), "bleu", {"batch": "32"}),
    ]
    for info in found:
        assert [point.label for point in info.points] == ["greedy", "beam-2", "beam-5", "beam-10", "beam-20"]


def test_arms_of_another_model_or_another_decoding_are_not_the_same(
    report: ReportInput, cost: ReportInput
) -> None:
    def with_task(arm: str, **changes: Any) -> ReportInput:
        tasks = dict(cost.loaded.tasks)
        tasks[arm, ""] = tasks[arm, ""].model_copy(update=changes)
        return replace(cost, loaded=replace(cost.loaded, tasks=tasks))

    [found] = tradeoffs((report, with_task("decoding=beam", batch=1)))
    assert [point.label for point in found.points] == ["greedy", "beam", "wide"]
    task = cost.loaded.tasks["decoding=beam", ""]
    assert isinstance(task, Translate)
    another = task.model.model_copy(update={"train": task.model.train.model_copy(update={"updates": 3})})
    for changes in ({"model": another}, {"decoding": BeamSearch(width=7)}):
        [found] = tradeoffs((report, with_task("decoding=beam", **changes)))
        assert [point.label for point in found.points] == ["greedy", "wide"]
        assert tradeoffs((report, with_task("decoding=greedy", **changes))) == []


def test_every_picture_says_its_own_metrics_and_which_way_is_better(shipped: dict[str, ReportInput]) -> None:
    """Self-BLEU is better where it is low, tokens a second where they are many."""
    varied = shipped["continuation"]
    timed = measured(varied, varied.loaded, "tokens_per_second")
    first, second = tradeoff_views((*shipped.values(), timed))
    assert (first.anchor, second.anchor) == ("tradeoff", "tradeoff-2")
    assert first.title == "bleu against sentence seconds and peak tensor bytes"
    assert second.title == "self bleu against tokens per second and peak tensor bytes"
    assert second.columns == ("self bleu", "tokens per second", "peak tensor bytes")
    assert "; higher bleu, lower sentence seconds, lower peak tensor bytes are better." in first.caption
    assert (
        "; lower self bleu, higher tokens per second, lower peak tensor bytes are better." in second.caption
    )
    assert [
        re.findall("<title[^>]*>(.*?)</title>", panel)[0] for panel in (*first.panels, *second.panels)
    ] == [
        "bleu against sentence seconds: batch = 1, up and left is better",
        "bleu against peak tensor bytes: batch = 1, up and left is better",
        "bleu against sentence seconds: batch = 32, up and left is better",
        "bleu against peak tensor bytes: batch = 32, up and left is better",
        "self bleu against tokens per second: all trials, down and right is better",
        "self bleu against peak tensor bytes: all trials, down and left is better",
    ]
    assert [len(view.blocks) for view in (first, second)] == [2, 1]
    assert [row.arm for row in second.blocks[0].rows][:2] == ["greedy", "beam-5"]


def test_less_memory_is_worth_having(report: ReportInput, cost: ReportInput) -> None:
    """Slower and no better, but smaller: nothing beats it at all three.

    Where one arm's memory is not known it counts for none.
    """
    small = tuple(
        replace(c, effect=0.5, low=0.5, high=0.5)
        if (c.metric, c.arm) == ("peak_tensor_bytes", "decoding=wide")
        else c
        for c in cost.analysis.contrasts
    )
    [found] = tradeoffs((report, replace(cost, analysis=replace(cost.analysis, contrasts=small))))
    assert found.front.dominated == {}
    lost = tuple(replace(c, verdict="invalid") if c.metric == "peak_tensor_bytes" else c for c in small)
    [found] = tradeoffs((report, replace(cost, analysis=replace(cost.analysis, contrasts=lost))))
    assert found.costs == ("sentence_seconds",)
    assert found.front.dominated == {"wide": ("greedy", "beam")}


def test_an_unbounded_interval_dominates_nothing_and_is_still_drawn(
    report: ReportInput, cost: ReportInput
) -> None:
    wild = tuple(replace(c, low=0.0, high=float("inf")) for c in cost.analysis.contrasts)
    [view] = tradeoff_views((report, replace(cost, analysis=replace(cost.analysis, contrasts=wild))))
    assert view.blocks[0].summary == "all trials: no arm is dominated"


def test_what_arms_wrote_is_escaped_and_shown(report: ReportInput, cost: ReportInput) -> None:
    spoilt: dict[int, Any] = {
        trial: replace(each, references=tuple(f"<b>{text}" for text in each.references))
        for trial, each in report.sentences.items()
    }
    html = render(replace(report, sentences=spoilt), cost)
    assert "&lt;b&gt;w" in html
    assert "<b>w" not in html
    assert 'id="tradeoff"' in html
    assert html == render(replace(report, sentences=spoilt), cost)


def test_a_study_that_writes_nothing_has_no_such_section() -> None:
    html = render(synthetic_report(study(design={"rounds": 2}), steps=1))
    assert "What was written" not in html
    assert 'id="tradeoff"' not in html


def test_effects_are_called_what_they_are(report: ReportInput, cost: ReportInput) -> None:
    """Scores are compared by differences over sentences, seconds by ratios over rounds."""
    for one, heading, told in (
        (
            report,
            "difference and 95 % interval",
            "Differences are arm less baseline in bleu, with the 95 % bootstrap",
        ),
        (
            cost,
            "ratio and 95 % interval",
            "Ratios are arm over baseline in sentence seconds, with the 95 % signed-rank",
        ),
    ):
        view = replace(
            one, loaded=replace(one.loaded, study=one.loaded.study.model_copy(update={"study": "w"}))
        )
        page = Page(render(view))
        assert heading in {head.text.replace("\u00a0", " ") for head in page.all("th", within="comparison")}
        assert told in page.by_id("comparison").text
    estimates = [dict(method_view(one).design)["estimate"] for one in (report, cost)]
    assert estimates[0].startswith("difference of the corpus scores")
    assert estimates[1].startswith("Hodges-Lehmann of the log ratios within rounds")


def test_arms_that_search_at_one_width_have_no_such_figure(report: ReportInput) -> None:
    assert width_plots(report) == []
