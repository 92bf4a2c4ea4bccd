"""The section of generated texts: scores by group, examples by a rule, and signatures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.cli.exports.latex import latex_table
from harness.cli.exports.markdown import markdown_table
from harness.report.build import render
from harness.report.inputs import ReportInput
from harness.report.sections.written import chosen_sentences, written_view
from harness.scoring.registry import stored_score
from harness.scoring.scores.translation import bleu
from harness.scoring.sentences import Sentences, StoredStatistics
from tests.report.parsed import Page
from tests.report.synthetic import study, synthetic_report
from tests.report.texts import report_of_costs, report_of_texts


@pytest.fixture(scope="module")
def report() -> ReportInput:
    return report_of_texts()


@pytest.fixture(scope="module")
def cost(report: ReportInput) -> ReportInput:
    return report_of_costs(report)


def sentences(*outputs: str) -> Sentences:
    references = ("a b c d", "e f g h", "i j k l")
    return Sentences(
        sources=("one", "two words", "three of them"),
        references=references,
        outputs=outputs,
        unseen=(0, 1, 0),
        scores={"bleu": StoredStatistics.from_statistics(bleu(outputs, references))},
    )


def test_examples_are_chosen_by_their_rules() -> None:
    arms = {"x": sentences("a b c d", "e f g h", "i j k l"), "y": sentences("a b c d", "q", "i j k z")}
    rules = chosen_sentences(arms, "bleu", seed=0)
    assert next(iter(rules.items())) == (1, "largest disagreement in BLEU")
    assert set(rules) == {0, 1, 2}
    assert rules == chosen_sentences(arms, "bleu", seed=0)


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
    """Sentences of arms with these scores: one row per sentence, one column per arm."""
    texts = tuple(map(str, range(len(rows))))
    return {
        f"arm {number}": Sentences(
            sources=texts,
            references=texts,
            outputs=texts,
            unseen=(0,) * len(rows),
            scores={
                "model_score": StoredStatistics.from_statistics(
                    stored_score("model_score", "x", [(value, 1.0) for value in column])
                )
            },
        )
        for number, column in enumerate(zip(*rows, strict=True))
    }


def test_the_widest_and_the_middle_sentence_are_shown_first() -> None:
    for rows, widest, middle in (
        (NINE, 1, 4),
        (NINE[::-1], 7, 4),
        ((*NINE, (2.0, 2.0, 2.0)), 1, 1),  # the sixth of ten is the middle, and shown already
        ((NINE[0], NINE[1], *NINE), 1, 6),  # of equal ones the first
        ((*NINE[:8], (0.95, 0.95, -0.95)), 8, 7),
    ):
        first, second, *_ = chosen_sentences(arms_of(rows), "model_score", seed=0).items()
        assert first == (widest, "largest disagreement in model score")
        if middle != widest:
            assert second == (middle, "median model_score")
        else:
            assert second[1] == "random, seed 0"


def test_three_more_are_drawn_by_the_seed_from_all_sentences() -> None:
    arms = arms_of(NINE)
    drawn: Counter[int] = Counter()
    for seed in range(400):
        rules = chosen_sentences(arms, "model_score", seed=seed)
        assert list(rules)[:2] == [1, 4]
        assert set(list(rules.values())[2:]) == {f"random, seed {seed}"}
        wanted = np.random.default_rng(seed).permutation(9)[:3].tolist()
        assert list(rules)[2:] == [index for index in wanted if index not in (1, 4)]
        drawn.update(list(rules)[2:])
    assert set(drawn) == {0, 2, 3, 5, 6, 7, 8}
    assert all(100 < count < 167 for count in drawn.values())  # each in a third of the draws


def test_the_examples_of_a_report_use_its_primary_metric_and_its_order_seed(report: ReportInput) -> None:
    for seed in (0, 5):
        study = report.loaded.study
        again = study.model_copy(update={"design": study.design.model_copy(update={"order_seed": seed})})
        view = written_view(replace(report, loaded=replace(report.loaded, study=again)))
        assert view is not None
        wanted = chosen_sentences(report.written, "bleu", seed=seed)
        assert [(shown.number, shown.rule) for shown in view.examples] == [
            (index + 1, rule) for index, rule in wanted.items()
        ]
        first = next(iter(report.written.values()))
        assert [shown.source for shown in view.examples] == [first.sources[index] for index in wanted]


def test_sentences_with_words_that_training_never_saw_are_scored_apart(report: ReportInput) -> None:
    unseen = tuple(
        index % 5 // 3 * (1 + index % 2) for index in range(300)
    )  # two of five, one or two words each
    sentences_by_trial = {
        trial: replace(written, unseen=unseen) for trial, written in report.sentences.items()
    }
    view = written_view(replace(report, sentences=sentences_by_trial))
    assert view is not None
    assert view.groups[:3] == (("all", 300), ("all words seen in training", 180), ("with unseen words", 120))
    for (_, cells), written in zip(view.rows, report.written.values(), strict=True):
        for cell, wanted in zip(cells[1:3], (False, True), strict=True):
            chosen = [index for index in range(300) if (index % 5 >= 3) is wanted]
            outputs, references = (
                [texts[i] for i in chosen] for texts in (written.outputs, written.references)
            )
            assert float(cell.split()[0]) == pytest.approx(bleu(outputs, references).corpus_score, abs=1e-3)
        assert len({cell.split()[0] for cell in cells[:3]}) == 3
    for count, group in ((0, "all words seen in training"), (1, "with unseen words")):
        every = {
            trial: replace(written, unseen=(count,) * 300) for trial, written in report.sentences.items()
        }
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
    [written] = {written.scores["bleu"].signature for written in report.sentences.values()}
    assert written.startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    by_trial = {
        trial: replace(
            written,
            scores={
                **written.scores,
                "perplexity_per_token": StoredStatistics(
                    signature=f"t{trial % 2}", values=((1.0, 1.0),) * 300
                ),
            },
        )
        for trial, written in report.sentences.items()
    }
    shown = replace(report, sentences=by_trial)
    view = written_view(shown)
    assert view is not None
    assert view.signatures == (
        ("BLEU", written),
        ("perplexity per token", "t1"),
        ("perplexity per token", "t0"),
    )
    assert Page(render(shown)).by_id("part-quality-written").text.count(written) == 1


@pytest.mark.parametrize(
    ("table", "signature_line"),
    [(markdown_table, "\nbleu: `{}`\n"), (latex_table, "\nbleu: \\texttt{{{}}}\n")],
)
def test_a_table_of_scores_is_exported_with_their_signatures(
    report: ReportInput, table: Callable[..., str], signature_line: str
) -> None:
    """The signatures are the only difference between the two tables."""
    written = report.sentences.values()
    signature = next(iter(written)).scores["bleu"].signature
    alone = table(report.analysis.contrasts)
    assert table(report.analysis.contrasts, written) == alone + signature_line.format(signature)


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


def test_generated_texts_are_escaped(report: ReportInput, cost: ReportInput) -> None:
    spoilt: dict[int, Any] = {
        trial: replace(written, references=tuple(f"<b>{text}" for text in written.references))
        for trial, written in report.sentences.items()
    }
    html = render(replace(report, sentences=spoilt), cost)
    assert "&lt;b&gt;w" in html
    assert "<b>w" not in html
    assert 'id="tradeoff"' in html
    assert html == render(replace(report, sentences=spoilt), cost)


def test_a_study_that_writes_nothing_has_no_such_section() -> None:
    html = render(synthetic_report(study(design={"rounds": 2}), steps=1))
    assert "Generated texts" not in html
    assert 'id="tradeoff"' not in html
