"""Scores by the length of the source."""

import math

import pytest
from sacrebleu.metrics.bleu import BLEU

from harness.errors import InputError
from harness.scoring.lengths import Bucket, by_source_length
from harness.scoring.scores.translation import bleu
from tests.scoring.synthetic import Texts


def test_each_bucket_is_a_corpus_of_its_own(texts: Texts) -> None:
    sources = texts.references
    buckets = by_source_length(bleu(texts.good, texts.references), sources, edges=(5, 10, 99))
    assert [str(bucket) for bucket in buckets] == ["0-4", "5-9", "10-98"]
    assert sum(part.sentences for part in buckets.values()) == len(sources)
    chosen = [i for i, source in enumerate(sources) if 5 <= len(source.split()) < 10]
    expected = (
        BLEU().corpus_score([texts.good[i] for i in chosen], [[texts.references[i] for i in chosen]]).score
    )
    assert buckets[Bucket(5, 10)].corpus_score == pytest.approx(expected)


def test_borders_belong_to_the_longer_bucket() -> None:
    scored = bleu(["a"] * 3, ["a"] * 3)
    buckets = by_source_length(scored, ["w " * 4, "w " * 5, "w " * 50], edges=(5,))
    assert {bucket: part.sentences for bucket, part in buckets.items()} == {
        Bucket(0, 5): 1,
        Bucket(5, math.inf): 2,
    }
    assert str(Bucket(5, math.inf)) == "5+"


def test_bad_sources_and_edges_are_refused() -> None:
    scored = bleu(["a", "b"], ["a", "b"])
    with pytest.raises(InputError, match="there are 1 sources for 2 scored sentences"):
        by_source_length(scored, ["a"])
    for edges in ((), (0, 5), (5, 5), (9, 5)):
        with pytest.raises(InputError, match="must be positive and increase"):
            by_source_length(scored, ["a", "b"], edges=edges)
