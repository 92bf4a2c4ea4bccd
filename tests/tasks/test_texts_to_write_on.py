"""Which texts a task writes on, and what is told of those that cannot serve, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data.content import Pair
from harness.errors import CorpusError, InputError
from harness.tasks.translate import Translate, check_lengths, chosen
from harness.tasks.writing_task import Texts
from tests.tasks.test_decode_tasks import NOUNS, VERBS, translation


def test_one_pair_a_source_and_the_same_draw_for_everybody() -> None:
    found = [Pair("a", "1"), Pair("b", "2"), Pair("a", "3"), Pair("c", "4")]
    assert [pair.target for pair in chosen(found, None)] == ["1", "2", "4"]
    assert chosen(found, 2) == chosen(found, 2)
    with pytest.raises(InputError, match="5 sentences were asked for, and the split has 3"):
        chosen(found, 5)


def test_sources_that_cannot_be_translated_are_told() -> None:
    with pytest.raises(InputError, match="source 2 is empty"):
        check_lengths("source", ("a", " "), ((5, 2), (2,)), 8)
    with pytest.raises(InputError, match=r"source 1 \('a' …\) has 9 tokens, and the model reads 8"):
        check_lengths("source", ("a",), ((5,) * 9,), 8)


@pytest.mark.parametrize(
    ("source", "target", "problem"),
    [
        ("word " * 30, "short", "source 5 .* has 151 tokens, and the model reads 64"),
        ("short", "word " * 30, "reference 5 .* has 151 tokens, and the model reads 64"),
        ("word", " ", "reference 5 is empty|has no target"),
    ],
)
def test_texts_that_a_model_cannot_read_are_told_before_anything_runs(
    tmp_path: Path, source: str, target: str, problem: str
) -> None:
    train, test = tmp_path / "train.tsv", tmp_path / "test.tsv"
    rows = "".join(f"a {noun}\tun {noun}\n" for noun in (*NOUNS, *VERBS))
    train.write_text(rows)
    test.write_text("".join(f"{noun} b\tb {noun}\n" for noun in NOUNS[:4]) + f"{source}\t{target}\n")
    files = {"kind": "files", "train": [str(train)], "valid": [str(train)], "test": [str(test)]}
    corpus = {**files, "source": 1, "target": 2}
    settings = translation(train)
    model = {**settings["model"]["train"]["model"], "max_positions": 64}
    recipe = {**settings["model"]["train"], "corpus": corpus, "model": model}
    task = Translate.read(
        {**settings, "model": {"recipe": "tiny", "train": recipe}, "sentences": {"corpus": corpus}}
    )
    with pytest.raises((InputError, CorpusError), match=problem):
        task.check_text()


def test_texts_without_a_reference_each_are_told_before_anything_is_decoded() -> None:
    def texts(sources: tuple[str, ...], references: tuple[str, ...]) -> Texts:
        ids = ((5, 2),) * len(sources)
        return Texts(sources=sources, references=references, source_ids=ids, reference_ids=ids)

    assert texts(("a", "b"), ("1", "2")).batches(1) == [[0], [1]]
    for sources, references, problem in (
        (("a", "b"), ("1",), "2 sources for 1 references"),
        (("a", "b"), ("1", " "), "reference 2 is empty"),
        (("a",), ("1",), "one text was found, and how varied texts are needs two"),
        ((), (), "no sources to score"),
    ):
        with pytest.raises(InputError, match=problem):
            texts(sources, references)
