"""Every module of scores is found, and all scores of a text come out of one call."""

from __future__ import annotations

import math

import pytest

from harness.errors import InputError
from harness.metrics import METRICS
from harness.scoring.registry import (
    SCORE_NAMES,
    corpus_scores,
    formulas,
    statistics_by_score,
    stored_score,
)
from harness.scoring.texts import LogLikelihoods, WrittenTexts
from tests.scoring.synthetic import Texts


def written(outputs: list[str], references: list[str]) -> WrittenTexts:
    known = LogLikelihoods([-2.0] * len(outputs), [4] * len(outputs))
    return WrittenTexts(
        outputs=outputs,
        references=references,
        output_likelihoods=known,
        reference_likelihoods=known,
        reference_bytes=[len(reference.encode()) for reference in references],
        tokenizer="bytes",
    )


def test_every_score_has_a_metric_record_and_a_value(texts: Texts) -> None:
    everything = written(texts.good, texts.references)
    statistics = statistics_by_score(everything)
    scores = corpus_scores(everything, statistics)
    assert set(statistics) == set(formulas())
    assert set(scores) == set(SCORE_NAMES) <= set(METRICS)
    assert all(map(math.isfinite, scores.values()))
    assert scores["model_score"] == -0.5
    assert scores["perplexity_per_token"] == pytest.approx(math.exp(0.5))
    for name, values in statistics.items():
        assert (values.metric, values.sentences) == (name, len(texts.good))
        assert stored_score(name, values.signature, values.values).corpus_score == scores[name]


def test_texts_that_are_too_short_have_no_distinct_pairs() -> None:
    short = written(["", "a"], ["a", "b"])
    scores = corpus_scores(short, statistics_by_score(short))
    assert scores["distinct_1"] == 1.0
    assert math.isnan(scores["distinct_2"])


def test_unknown_scores_are_refused() -> None:
    with pytest.raises(InputError, match=r"unknown score 'bleue'; did you mean 'bleu'\?"):
        stored_score("bleue", "", [[1.0]])
    with pytest.raises(ValueError, match="sentence 2 are not finite"):
        stored_score("ter", "", [[1.0, 2.0], [math.nan, 1.0]])
    with pytest.raises(ValueError, match=r"their shape is \(0,\)"):
        stored_score("ter", "", [])
