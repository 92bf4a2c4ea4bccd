"""ROUGE-1, ROUGE-2 and ROUGE-L by rouge-score, sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Literal

from harness.scoring.formulas import averaged
from harness.scoring.texts import check_texts
from harness.statistics import SentenceStatistics

Kind = Literal["rouge1", "rouge2", "rougeL"]
KINDS: tuple[Kind, ...] = ("rouge1", "rouge2", "rougeL")


def rouge(hypotheses: Sequence[str], references: Sequence[str]) -> dict[Kind, SentenceStatistics]:
    """The F-measure of each kind, 0 to 1, averaged over sentences (Lin 2004); no stemming.

    rouge-score's own tokenizer keeps a-z and 0-9 alone, in lower case: an accented letter divides a word, and
    text in another script has no tokens and scores 0. Its program prints the median of resampled means, which
    differs from this mean by resampling alone. InputError as told in `check_texts`.
    """
    from rouge_score.rouge_scorer import RougeScorer  # most of a second, by way of nltk and scipy

    check_texts(hypotheses, references)
    scorer = RougeScorer(list(KINDS), use_stemmer=False)
    scores = [
        scorer.score(reference, hypothesis)
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]
    signature = f"stemmer:no|measure:f|version:{version('rouge-score')}"
    return {kind: averaged(kind, signature, [score[kind].fmeasure for score in scores]) for kind in KINDS}
