"""The sentences that are translated, and the refusal of texts that cannot be, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data.content import Pair
from harness.errors import CorpusError, InputError
from harness.tasks.translate import Translate, check_lengths, draw_pairs
from tests.tasks.tiny_recipes import NOUNS, VERBS, translation


def test_one_pair_per_source_and_the_same_draw_for_every_seed() -> None:
    pairs = [Pair("a", "1"), Pair("b", "2"), Pair("a", "3"), Pair("c", "4")]
    assert [pair.target for pair in draw_pairs(pairs, None)] == ["1", "2", "4"]
    assert draw_pairs(pairs, 2) == draw_pairs(pairs, 2)
    with pytest.raises(InputError, match=r"sentences\.count is 5, but the split has only 3 sentences"):
        draw_pairs(pairs, 5)


def test_sources_that_cannot_be_translated_are_refused() -> None:
    with pytest.raises(InputError, match="source 2 is empty"):
        check_lengths("source", ("a", " "), ((5, 2), (2,)), 8)
    with pytest.raises(InputError, match=r"source 1 \('a' …\) has 9 tokens, but the model reads at most 8"):
        check_lengths("source", ("a",), ((5,) * 9,), 8)


@pytest.mark.parametrize(
    ("source", "target", "problem"),
    [
        ("word " * 30, "short", "source 5 .* has 151 tokens, but the model reads at most 64"),
        ("short", "word " * 30, "reference 5 .* has 151 tokens, but the model reads at most 64"),
        ("word", " ", "reference 5 is empty|has no target"),
    ],
)
def test_texts_that_a_model_cannot_read_are_refused_before_anything_runs(
    tmp_path: Path, source: str, target: str, problem: str
) -> None:
    train, test = tmp_path / "train.tsv", tmp_path / "test.tsv"
    rows = "".join(f"a {noun}\tun {noun}\n" for noun in (*NOUNS, *VERBS))
    train.write_text(rows)
    test.write_text("".join(f"{noun} b\tb {noun}\n" for noun in NOUNS[:4]) + f"{source}\t{target}\n")
    files = {"kind": "files", "train": [str(train)], "test": [str(test)]}
    corpus = {**files, "source": 1, "target": 2}
    settings = translation(train)
    model = {**settings["model"]["train"]["model"], "max_positions": 64}
    recipe = {**settings["model"]["train"], "corpus": corpus, "model": model}
    task = Translate.read(
        {**settings, "model": {"recipe": "tiny", "train": recipe}, "sentences": {"corpus": corpus}}
    )
    with pytest.raises((InputError, CorpusError), match=problem):
        task.check_text()
