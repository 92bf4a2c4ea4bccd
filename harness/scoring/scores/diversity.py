"""How varied and how repetitive generated text is, given one sequence of words or token ids per text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace

from harness.errors import InputError
from harness.scoring.score import TextScores, averaged
from harness.scoring.scores.translation import smoothed_sentence_bleu
from harness.scoring.texts import DEFAULT_TOKENIZER, WrittenTexts
from harness.statistics import SentenceStatistics, ratio_of_sums

Tokens = Sequence[Hashable]
_ORDERS = (1, 2, 3, 4)


def distinct_n(sequences: Sequence[Tokens], n: int) -> float:
    """Distinct n-grams of all sequences together divided by all n-grams, 0 to 1 (Li et al. 2016, §5.1).

    It falls as the text grows longer, so compare equal amounts. NaN if no sequence has n tokens.
    """
    _check(sequences, n)
    counts = Counter(gram for tokens in sequences for gram in _ngrams(tokens, n))
    return len(counts) / counts.total() if counts else math.nan


def repetition(sequences: Sequence[Tokens], n: int = 4) -> SentenceStatistics:
    """The share of n-grams that occurred before in the same text, averaged over texts (seq-rep-n, Welleck et
    al. 2020, §3).

    A text with fewer than n tokens repeats nothing and counts as 0.
    """
    _check(sequences, n)
    shares = []
    for tokens in sequences:
        grams = list(_ngrams(tokens, n))
        shares.append(1 - len(set(grams)) / len(grams) if grams else 0.0)
    return averaged("repetition", f"n:{n}", shares)


def self_bleu(sequences: Sequence[Tokens]) -> SentenceStatistics:
    """BLEU of each text with all other texts as its references, 0 to 100, averaged (Zhu et al. 2018, §3.2).

    High means that the texts are alike. This is smoothed sentence BLEU of orders 1 to 4, computed in one
    pass: the largest count of an n-gram among the other texts is the largest count of all, or the second
    largest if the text itself has the largest. Raises InputError if there are fewer than two texts.
    """
    _check(sequences, 1)
    if len(sequences) < 2:
        raise InputError("self-BLEU needs at least two texts")
    counts = [Counter(gram for n in _ORDERS for gram in _ngrams(tokens, n)) for tokens in sequences]
    largest: Counter[Tokens] = Counter()
    second: Counter[Tokens] = Counter()
    for grams in counts:
        for gram, count in grams.items():
            second[gram] = max(second[gram], min(count, largest[gram]))
            largest[gram] = max(largest[gram], count)
    lengths = Counter(len(tokens) for tokens in sequences)
    scores = []
    for tokens, grams in zip(sequences, counts, strict=True):
        matches, total = [0] * len(_ORDERS), [0] * len(_ORDERS)
        for gram, count in grams.items():
            others = second[gram] if count == largest[gram] else largest[gram]
            matches[len(gram) - 1] += min(count, others)
            total[len(gram) - 1] += count
        length = len(tokens)
        rest = [other for other, times in lengths.items() if other != length or times > 1]
        closest = min(rest, key=lambda other: (abs(other - length), other))
        scores.append(smoothed_sentence_bleu(length, closest, matches, total))
    return averaged("self_bleu", "order:4|smooth:exp|eff:yes", scores)


def _ngrams(tokens: Tokens, n: int) -> Iterator[tuple[Hashable, ...]]:
    return (tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1))


def _check(sequences: Sequence[Tokens], n: int) -> None:
    if n < 1:
        raise InputError(f"an n-gram has at least one token, but n is {n}")
    if not sequences:
        raise InputError("there are no texts to score")
    for number, tokens in enumerate(sequences, start=1):
        if isinstance(tokens, str):
            raise InputError(f"text {number} is not divided into tokens", hint="use words(texts)")


def _compute(texts: WrittenTexts) -> Iterator[SentenceStatistics]:
    divided = "" if texts.score_tokenizer == DEFAULT_TOKENIZER else f"|tok:{texts.score_tokenizer}"
    for statistics in (repetition(texts.words), self_bleu(texts.words)):
        yield replace(statistics, signature=f"{statistics.signature}{divided}")


SCORES = TextScores(
    formulas={"repetition": ratio_of_sums, "self_bleu": ratio_of_sums},
    compute=_compute,
    figures={
        "distinct_1": lambda texts: distinct_n(texts.words, 1),
        "distinct_2": lambda texts: distinct_n(texts.words, 2),
    },
)
