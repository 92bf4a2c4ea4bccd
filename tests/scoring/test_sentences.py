"""What an arm wrote, as it is kept: nothing changes on the way, and equal sentences are one."""

from __future__ import annotations

import math
from typing import Any

import pytest

from harness.errors import InputError
from harness.scoring.scores.translation import bleu
from harness.scoring.sentences import Sentences, StoredStatistics

SOURCES = ("Hello.", "It is late.", "Where?")
REFERENCES = ("Hola.", "Es tarde.", "¿Dónde?")


def written(*outputs: str, **changes: Any) -> Sentences:
    texts = outputs or ("Hola.", "Es muy tarde.", "")
    fields: dict[str, Any] = {
        "sources": SOURCES,
        "references": REFERENCES,
        "outputs": texts,
        "unseen": (0, 0, 1),
        "scores": {"bleu": StoredStatistics.from_statistics(bleu(texts, REFERENCES))},
    }
    return Sentences(**{**fields, **changes})


def test_what_is_packed_is_unpacked() -> None:
    sentences = written()
    back = Sentences.unpacked(sentences.packed())
    assert back == sentences
    assert back.content_id == sentences.content_id
    original = bleu(sentences.outputs, REFERENCES)
    assert back.statistics("bleu").corpus_score == original.corpus_score
    assert back.statistics("bleu").signature == original.signature


def test_half_a_surrogate_and_a_nul_come_back() -> None:
    odd = written("a\0b", "\ud800", "ok", scores={})
    assert Sentences.unpacked(odd.packed()).outputs == ("a\0b", "\ud800", "ok")


def test_another_output_is_another_content() -> None:
    assert written().content_id != written("Hola.", "Es tarde.", "").content_id


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"sources": (), "references": (), "outputs": (), "unseen": (), "scores": {}},
            "no sentences were written",
        ),
        ({"references": REFERENCES[:2]}, "there are 2 references for 3 sources"),
        ({"unseen": ()}, "there are 0 unseen for 3 sources"),
        (
            {"scores": {"bleu": StoredStatistics(signature="s", values=((1.0,) * 10,))}},
            "there are 1 bleu for 3 sources",
        ),
        (
            {"scores": {"ter": StoredStatistics(signature="s", values=((1.0, math.nan),) * 3)}},
            "ter: the statistics of sentence 1 are not finite",
        ),
        ({"scores": {"blue": StoredStatistics(signature="s", values=((1.0,),) * 3)}}, "unknown score 'blue'"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        written(**changes)
