"""BLEU, chrF and TER by sacrebleu, with its signatures, and the ratio of lengths that BLEU sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.scoring.score import TextScores, sentence_statistics
from harness.scoring.texts import DEFAULT_TOKENIZER, ScoreTokenizer, WrittenTexts, check_texts, words
from harness.statistics import SentenceStatistics, ratio_of_sums
from harness.statistics.rank_sums import Floats

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric


_ORDER = 4


def bleu_of_sums(sums: Floats) -> Floats:
    """(…, 10) → (…): BLEU. Orders without matches count as ½, ¼, … of a match (NIST's smoothing)."""
    length, reference = sums[..., 0], sums[..., 1]
    matches, ngrams = sums[..., 2 : 2 + _ORDER], sums[..., 2 + _ORDER :]
    missed = np.cumsum(matches == 0, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        counted = np.where(matches == 0, 0.5**missed, matches)
        mean = np.log(counted / ngrams).mean(axis=-1)
        penalty = np.exp(np.minimum(0.0, 1 - reference / length))
        scores: Floats = 100 * penalty * np.exp(mean)
    # 0 by definition if nothing matches, or if the text is too short for n-grams of the highest order
    return np.where((matches.sum(axis=-1) > 0) & (ngrams[..., -1] > 0), scores, 0.0)


def chrf_of_sums(sums: Floats) -> Floats:
    """(…, 18) → (…): F₂ of the mean precision and the mean recall over the orders that both texts have."""
    counts = sums.reshape(*sums.shape[:-1], -1, 3)
    hypothesis, reference, match = counts[..., 0], counts[..., 1], counts[..., 2]
    both = (hypothesis > 0) & (reference > 0)
    orders = np.maximum(both.sum(axis=-1), 1)
    precision = np.where(both, match / np.maximum(hypothesis, 1), 0.0).sum(axis=-1) / orders
    recall = np.where(both, match / np.maximum(reference, 1), 0.0).sum(axis=-1) / orders
    mean: Floats = 5 * precision * recall / np.where(precision + recall > 0, 4 * precision + recall, 1.0)
    return 100 * mean


def ter_of_sums(sums: Floats) -> Floats:
    """(…, 2) → (…): edits over reference words, in percent."""
    return 100 * ratio_of_sums(sums)


def bleu(
    hypotheses: Sequence[str], references: Sequence[str], tokenizer: ScoreTokenizer = DEFAULT_TOKENIZER
) -> SentenceStatistics:
    """BLEU, 0 to 100 (Papineni et al. 2002; Post 2018): mixed case, exponential smoothing, detokenised text
    in, which is divided by one of sacrebleu's tokenizers.

    Statistics per sentence: length, reference length, matches of order 1 to 4, n-grams of order 1 to 4.
    Raises InputError for the reasons that `check_texts` gives.
    """
    from sacrebleu.metrics.bleu import BLEU

    return _statistics("bleu", BLEU(force=True, tokenize=tokenizer), hypotheses, references)


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> SentenceStatistics:
    """chrF2, 0 to 100 (Popović 2015): character n-grams of order 1 to 6, without white space.

    Statistics per sentence: for each order, the n-grams of the hypothesis, of the reference, and of both.
    """
    from sacrebleu.metrics.chrf import CHRF

    return _statistics("chrf", CHRF(), hypotheses, references)


def ter(
    hypotheses: Sequence[str], references: Sequence[str], tokenizer: ScoreTokenizer = DEFAULT_TOKENIZER
) -> SentenceStatistics:
    """Translation edit rate in percent (Snover et al. 2006); lower is better.

    Statistics per sentence: edits and the length of the reference. Use it on sentences, not on documents: a
    reference of 250 words takes seconds. Its words are separated by white space; a tokenizer other than the
    default divides the texts first.
    """
    from sacrebleu.metrics.ter import TER

    if tokenizer == DEFAULT_TOKENIZER:
        return _statistics("ter", TER(), hypotheses, references)
    check_texts(hypotheses, references)
    divided = [[" ".join(tokens) for tokens in words(texts, tokenizer)] for texts in (hypotheses, references)]
    statistics = _statistics("ter", TER(), *divided)
    return replace(statistics, signature=f"{statistics.signature}|tok:{tokenizer}")


def _statistics(
    name: str, metric: Metric, hypotheses: Sequence[str], references: Sequence[str]
) -> SentenceStatistics:
    check_texts(hypotheses, references)
    # The significance tests of sacrebleu use this. Its public interface has no statistics of chrF and TER.
    rows = metric._extract_corpus_statistics(hypotheses, [references])
    return sentence_statistics(name, str(metric.get_signature()), rows, FORMULAS[name])


def length_ratio(statistics: SentenceStatistics) -> SentenceStatistics:
    """Length of the output divided by that of the reference, in BLEU's tokens, from the statistics of `bleu`.

    Raises ValueError if they are the statistics of another score.
    """
    if statistics.metric != "bleu":
        raise ValueError(f"lengths are part of the statistics of bleu, not of {statistics.metric}")
    return sentence_statistics("length_ratio", statistics.signature, statistics.values[:, :2])


def smoothed_sentence_bleu(
    length: int, reference: int, matches: Sequence[int], ngrams: Sequence[int]
) -> float:
    """BLEU of one sentence, 0 to 100, over the orders of its n-grams (sacrebleu's effective order)."""
    from sacrebleu.metrics.bleu import BLEU

    return BLEU.compute_bleu(
        correct=list(matches),
        total=list(ngrams),
        sys_len=length,
        ref_len=reference,
        smooth_method="exp",
        effective_order=True,
    ).score


def _compute(texts: WrittenTexts) -> Iterator[SentenceStatistics]:
    statistics = bleu(texts.outputs, texts.references, texts.score_tokenizer)
    yield statistics
    yield length_ratio(statistics)
    yield chrf(texts.outputs, texts.references)
    yield ter(texts.outputs, texts.references, texts.score_tokenizer)


FORMULAS = {"bleu": bleu_of_sums, "length_ratio": ratio_of_sums, "chrf": chrf_of_sums, "ter": ter_of_sums}
SCORES = TextScores(formulas=FORMULAS, compute=_compute)
