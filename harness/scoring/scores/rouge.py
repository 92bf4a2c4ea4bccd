"""ROUGE-1, ROUGE-2 and ROUGE-L by rouge-score, sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from harness.scoring.score import TextScores, averaged
from harness.scoring.texts import DEFAULT_TOKENIZER, ScoreTokenizer, check_texts, words
from harness.statistics import SentenceStatistics, ratio_of_sums

KINDS = ("rouge1", "rouge2", "rougeL")


class _Words:
    """The words of a tokenizer of sacrebleu, in lower case, as rouge-score asks for them."""

    def __init__(self, tokenizer: ScoreTokenizer) -> None:
        self.tokenizer = tokenizer

    def tokenize(self, text: str) -> list[str]:
        [tokens] = words([text.lower()], self.tokenizer)
        return tokens


def rouge(
    hypotheses: Sequence[str], references: Sequence[str], tokenizer: ScoreTokenizer = DEFAULT_TOKENIZER
) -> dict[str, SentenceStatistics]:
    """The F-measure of each kind, 0 to 1, averaged over sentences (Lin 2004), without stemming.

    The tokenizer of rouge-score keeps only a-z and 0-9, in lower case: an accented letter divides a word, and
    text in another script has no tokens and scores 0. The program of rouge-score prints the median of
    resampled means, so only resampling makes it differ from this mean. A tokenizer other than the default one
    replaces that of rouge-score. Raises InputError for the reasons that
    `check_texts` gives.
    """
    from rouge_score.rouge_scorer import RougeScorer  # takes most of a second: it imports nltk and scipy

    check_texts(hypotheses, references)
    default = tokenizer == DEFAULT_TOKENIZER
    scorer = RougeScorer(list(KINDS), use_stemmer=False, tokenizer=None if default else _Words(tokenizer))
    scores = [
        scorer.score(reference, hypothesis)
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]
    divided = "" if default else f"|tok:{tokenizer}"
    signature = f"stemmer:no|measure:f{divided}|version:{version('rouge-score')}"
    return {kind: averaged(kind, signature, [score[kind].fmeasure for score in scores]) for kind in KINDS}


SCORES = TextScores(
    formulas=dict.fromkeys(KINDS, ratio_of_sums),
    compute=lambda texts: rouge(texts.outputs, texts.references, texts.score_tokenizer).values(),
)
