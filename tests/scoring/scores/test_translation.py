"""BLEU, chrF and TER against sacrebleu: its command line, its classes and its resampled corpora."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from harness.errors import InputError
from harness.scoring.registry import formulas, stored_score
from harness.scoring.scores.translation import bleu, chrf, length_ratio, ter
from harness.statistics import SentenceStatistics
from tests.scoring.synthetic import Texts

Scorer = Callable[[Sequence[str], Sequence[str]], SentenceStatistics]
SCORERS: list[tuple[Scorer, Any]] = [(bleu, BLEU()), (chrf, CHRF()), (ter, TER())]


def test_scores_and_signatures_are_those_of_the_command_line(texts: Texts, tmp_path: Path) -> None:
    references, hypotheses = tmp_path / "references.txt", tmp_path / "hypotheses.txt"
    references.write_text("".join(f"{line}\n" for line in texts.references), encoding="utf-8")
    hypotheses.write_text("".join(f"{line}\n" for line in texts.good), encoding="utf-8")
    command = [sys.executable, "-m", "sacrebleu", str(references), "-i", str(hypotheses), "-w", "9", "-m"]
    printed = subprocess.run(
        [*command, "bleu", "chrf", "ter"], capture_output=True, text=True, check=True
    ).stdout
    for ours, theirs in zip((bleu, chrf, ter), json.loads(printed), strict=True):
        result = ours(texts.good, texts.references)
        assert result.corpus_score == pytest.approx(theirs["score"], abs=1e-8)
        assert result.signature == theirs["signature"]
        assert 5 < result.corpus_score < 95


@pytest.mark.parametrize(("ours", "theirs"), SCORERS)
def test_resampled_corpora_score_as_sacrebleu_scores_them(texts: Texts, ours: Scorer, theirs: Any) -> None:
    result = ours(texts.poor, texts.references)
    drawn = np.random.default_rng(1).integers(len(texts.poor), size=(20, 30))
    sums = result.values[drawn].sum(axis=1)
    expected = [
        theirs.corpus_score([texts.poor[i] for i in row], [[texts.references[i] for i in row]]).score
        for row in drawn
    ]
    np.testing.assert_allclose(result.score(sums), expected, rtol=1e-12)
    assert len(set(expected)) > 15


@pytest.mark.parametrize(("ours", "theirs"), SCORERS)
@pytest.mark.parametrize(
    ("hypothesis", "reference"),
    [
        ("", "el perro corre por la casa"),
        ("gato", "el perro corre por la casa"),
        ("el", "el"),
        ("el perro corre", "el perro corre"),
        ("perro el por corre casa la", "el perro corre por la casa"),  # no order above 1 matches
        ("zzz yyy xxx www vvv", "el perro corre por la casa"),
        ("el perro corre por la casa el perro corre por la casa", "el perro corre por la casa"),
    ],
)
def test_corners_of_the_formulas(hypothesis: str, reference: str, ours: Scorer, theirs: Any) -> None:
    result = ours([hypothesis], [reference]).corpus_score
    assert result == pytest.approx(theirs.corpus_score([hypothesis], [[reference]]).score, abs=1e-12)


@settings(max_examples=200)
@given(st.integers(0, 60), st.integers(1, 60), st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_bleu_of_any_sums_is_sacrebleus(length: int, reference: int, shares: list[float]) -> None:
    ngrams = [max(0, length - order) for order in range(4)]
    matches = [int(share * count) for share, count in zip(shares, ngrams, strict=True)]
    expected = BLEU.compute_bleu(matches.copy(), ngrams.copy(), length, reference, smooth_method="exp").score
    sums = np.array([length, reference, *matches, *ngrams], dtype=np.float64)
    assert formulas()["bleu"](sums) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("ours", "_"), SCORERS)
def test_statistics_read_back_score_alike(texts: Texts, ours: Scorer, _: Any) -> None:
    result = ours(texts.good, texts.references)
    again = stored_score(result.metric, result.signature, json.loads(json.dumps(result.values.tolist())))
    assert again.corpus_score == result.corpus_score
    assert again.sentence_scores.tolist() == result.sentence_scores.tolist()


@pytest.mark.parametrize(("ours", "_"), SCORERS)
def test_bad_texts_are_refused(ours: Scorer, _: Any) -> None:
    with pytest.raises(InputError, match="there are 2 hypotheses but 1 references"):
        ours(["a", "b"], ["a"])
    with pytest.raises(InputError, match="there are no hypotheses"):
        ours([], [])
    with pytest.raises(InputError, match="there are no references"):
        ours(["a"], [])
    with pytest.raises(InputError, match="reference 2 is empty"):
        ours(["a", "b"], ["a", " "])
    with pytest.raises(InputError, match="hypotheses must be a sequence of texts"):
        ours("ab", ["a", "b"])
    with pytest.raises(InputError, match="text 2 must be a string, but it is NoneType"):
        ours(["a", None], ["a", "b"])  # type: ignore[list-item]


def test_length_ratio_is_that_of_bleu(texts: Texts) -> None:
    result = length_ratio(bleu(texts.good, texts.references))
    expected = BLEU().corpus_score(texts.good, [texts.references])
    assert result.corpus_score == pytest.approx(expected.sys_len / expected.ref_len)
    assert length_ratio(bleu(["a b c"], ["a b, d"])).corpus_score == 3 / 4
    with pytest.raises(ValueError, match="not of chrf"):
        length_ratio(chrf(["a"], ["a"]))


def test_lengths_are_paired_like_any_score(texts: Texts) -> None:
    values = length_ratio(bleu(texts.good, texts.references)).values
    assert values.shape == (len(texts.good), 2)
    assert np.all(values[:, 1] >= 1)
