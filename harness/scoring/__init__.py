"""Scores of generated text, kept a sentence so that tests can pair: BLEU, chrF, TER, ROUGE, perplexity,
diversity.
"""

from harness.scoring.diversity import distinct_n, repetition, self_bleu, words
from harness.scoring.formulas import SCORES, scored
from harness.scoring.lengths import Bucket, by_source_length, length_ratio
from harness.scoring.perplexity import perplexities
from harness.scoring.rouge import rouge
from harness.scoring.sentences import Kept, Sentences, kept
from harness.scoring.translation import bleu, chrf, ter

__all__ = [
    "SCORES",
    "Bucket",
    "Kept",
    "Sentences",
    "bleu",
    "by_source_length",
    "chrf",
    "distinct_n",
    "kept",
    "length_ratio",
    "perplexities",
    "repetition",
    "rouge",
    "scored",
    "self_bleu",
    "ter",
    "words",
]
