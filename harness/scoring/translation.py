"""BLEU, chrF and TER by sacrebleu, with its signatures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.scoring.formulas import scored
from harness.scoring.texts import check_texts
from harness.statistics import SentenceStatistics

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric


def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> SentenceStatistics:
    """BLEU, 0 to 100 (Papineni et al. 2002; Post 2018): 13a tokens, mixed case, exponential smoothing,
    detokenised text in.

    Statistics a sentence: length, reference length, matches of order 1 to 4, n-grams of order 1 to 4.
    InputError as told in `check_texts`.
    """
    from sacrebleu.metrics.bleu import BLEU

    return _statistics("bleu", BLEU(force=True), hypotheses, references)


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> SentenceStatistics:
    """chrF2, 0 to 100 (Popović 2015): character n-grams of order 1 to 6, without white space.

    Statistics a sentence: for each order the n-grams of the hypothesis, of the reference, and those in both.
    """
    from sacrebleu.metrics.chrf import CHRF

    return _statistics("chrf", CHRF(), hypotheses, references)


def ter(hypotheses: Sequence[str], references: Sequence[str]) -> SentenceStatistics:
    """Translation edit rate in percent (Snover et al. 2006), lower is better; statistics: edits, reference
    length.

    Of sentences, not of documents: a reference of 250 words takes seconds.
    """
    from sacrebleu.metrics.ter import TER

    return _statistics("ter", TER(), hypotheses, references)


def _statistics(
    name: str, metric: Metric, hypotheses: Sequence[str], references: Sequence[str]
) -> SentenceStatistics:
    check_texts(hypotheses, references)
    # What sacrebleu's own significance tests take: its public interface has no statistics of chrF and TER.
    rows = metric._extract_corpus_statistics(hypotheses, [references])
    return scored(name, str(metric.get_signature()), rows)


def smoothed_sentence_bleu(
    length: int, reference: int, matches: Sequence[int], ngrams: Sequence[int]
) -> float:
    """BLEU of one sentence, 0 to 100, over the orders that it has n-grams of (sacrebleu's effective order)."""
    from sacrebleu.metrics.bleu import BLEU

    return BLEU.compute_bleu(
        correct=list(matches),
        total=list(ngrams),
        sys_len=length,
        ref_len=reference,
        smooth_method="exp",
        effective_order=True,
    ).score
