"""ROUGE against rouge-score's own command line."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.errors import InputError
from harness.scoring.scores.rouge import KINDS, rouge
from tests.scoring.synthetic import Texts


def by_command_line(texts: Texts, folder: Path, *, aggregate: bool) -> list[dict[str, str]]:
    files = {"target": texts.references, "prediction": texts.good}
    for name, lines in files.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    options = [f"--{name}_filepattern={folder / name}" for name in files]
    command = [sys.executable, "-m", "rouge_score.rouge", *options, f"--output_filename={folder / 'out.csv'}"]
    subprocess.run([*command, f"--aggregate={str(aggregate).lower()}"], capture_output=True, check=True)
    with (folder / "out.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_sentence_scores_as_on_the_command_line(texts: Texts, tmp_path: Path) -> None:
    result = rouge(texts.good, texts.references)
    rows = by_command_line(texts, tmp_path, aggregate=False)
    for kind in KINDS:
        expected = [float(row[f"{kind}-F"]) for row in rows]
        np.testing.assert_allclose(result[kind].sentence_scores, expected, atol=1e-6)
        assert result[kind].corpus_score == pytest.approx(np.mean(expected), abs=1e-6)
        assert 0.1 < result[kind].corpus_score < 0.9


def test_the_mean_is_that_of_the_command_line_but_for_its_resampling(texts: Texts, tmp_path: Path) -> None:
    result = rouge(texts.good, texts.references)
    for row in by_command_line(texts, tmp_path, aggregate=True):
        kind, measure = row["score_type"].split("-")
        if measure == "F":
            assert result[kind].corpus_score == pytest.approx(float(row["mid"]), abs=0.004)


def test_a_hand_worked_sentence() -> None:
    result = rouge(["the cat sat"], ["the cat was sitting"])
    assert result["rouge1"].corpus_score == pytest.approx(2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4))
    assert result["rouge2"].corpus_score == pytest.approx(2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))
    assert result["rougeL"].corpus_score == result["rouge1"].corpus_score


def test_accents_divide_words_and_silence_scores_nothing() -> None:
    assert rouge(["nino"], ["niño"])["rouge1"].corpus_score == 0
    assert rouge(["ni o"], ["niño"])["rouge1"].corpus_score == 1
    assert rouge([""], ["niño"])["rougeL"].corpus_score == 0


def test_bad_texts_are_refused() -> None:
    with pytest.raises(InputError, match="there are 1 hypotheses but 2 references"):
        rouge(["a"], ["a", "b"])
    with pytest.raises(InputError, match="reference 1 is empty"):
        rouge(["a"], [""])
