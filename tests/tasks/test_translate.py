"""The sentences that are translated, and the refusal of texts that cannot be, before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.data.content import Pair
from harness.data.pairs import pair_tokens
from harness.data.tokenizer import EOS_ID
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


def test_training_translation_and_scores_read_the_same_ids_of_a_sentence_with_line_ends(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [{"a": f"Dear sir,\nhello {noun}", "b": f"\n{noun}\r\n\nun"} for noun in NOUNS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = {"kind": "files", "train": [str(path)], "source": "a", "target": "b"}
    settings = translation(path)
    recipe = {**settings["model"]["train"], "corpus": corpus}
    sentences = {"corpus": corpus, "split": "train"}
    task = Translate.read({**settings, "model": {"recipe": "tiny", "train": recipe}, "sentences": sentences})
    texts, training_corpus, tokenizer = task.texts()
    trained = pair_tokens(training_corpus, "train", tokenizer)
    for side, read in ((trained.source, texts.source_ids), (trained.target, texts.reference_ids)):
        rows = [side.ids[start:end].tolist() for start, end in zip(side.starts, side.ends, strict=True)]
        assert [(*row, EOS_ID) for row in rows] == list(read)
    assert tokenizer.encode("\n")[0] not in {index for row in texts.source_ids for index in row}
    assert texts.sources[0] == "Dear sir, hello cat"
    assert texts.references[0] == " cat\r  un"
    assert texts.reference_bytes == tuple(len(row) - 1 for row in texts.reference_ids)
