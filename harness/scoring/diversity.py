"""How varied and how repetitive generated text is. Words or token ids come in, one sequence a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

from harness.errors import InputError
from harness.scoring.formulas import averaged
from harness.scoring.texts import check_strings
from harness.scoring.translation import smoothed_sentence_bleu
from harness.statistics import SentenceStatistics

Tokens = Sequence[Hashable]
_ORDERS = (1, 2, 3, 4)


def words(texts: Sequence[str]) -> list[list[str]]:
    """BLEU's words (13a) of each text."""
    from sacrebleu.metrics.bleu import BLEU

    check_strings("texts", texts)
    tokenize = BLEU().tokenizer
    return [tokenize(text.rstrip()).split() for text in texts]


def distinct_n(sequences: Sequence[Tokens], n: int) -> float:
    """Distinct n-grams of all sequences together over all n-grams, 0 to 1 (Li et al. 2016, §5.1).

    It falls as text grows longer, so compare equal amounts. InputError where no sequence has n tokens.
    """
    _check(sequences, n)
    found = Counter(gram for tokens in sequences for gram in _ngrams(tokens, n))
    if not found:
        raise InputError(f"no text has {n} tokens, so there are no {n}-grams to be distinct")
    return len(found) / found.total()


def repetition(sequences: Sequence[Tokens], n: int = 4) -> SentenceStatistics:
    """The share of n-grams that occurred before in the same text, averaged over texts (seq-rep-n, Welleck et
    al. 2020, §3).

    A text of fewer than n tokens repeats nothing: 0.
    """
    _check(sequences, n)
    shares = []
    for tokens in sequences:
        grams = list(_ngrams(tokens, n))
        shares.append(1 - len(set(grams)) / len(grams) if grams else 0.0)
    return averaged("repetition", f"n:{n}", shares)


def self_bleu(sequences: Sequence[Tokens]) -> SentenceStatistics:
    """BLEU of each text with all the others as its references, 0 to 100, averaged; high means alike (Zhu et
    al. 2018, §3.2).

    Smoothed sentence BLEU of orders 1 to 4. One pass: the most often that the others have an n-gram is the
    largest count of all, or the second largest where the text itself holds the largest. InputError with fewer
    than two texts.
    """
    _check(sequences, 1)
    if len(sequences) < 2:
        raise InputError("self-BLEU needs at least two texts")
    counts = [Counter(gram for n in _ORDERS for gram in _ngrams(tokens, n)) for tokens in sequences]
    largest: Counter[Tokens] = Counter()
    second: Counter[Tokens] = Counter()
    for own in counts:
        for gram, count in own.items():
            second[gram] = max(second[gram], min(count, largest[gram]))
            largest[gram] = max(largest[gram], count)
    lengths = Counter(len(tokens) for tokens in sequences)
    scores = []
    for tokens, own in zip(sequences, counts, strict=True):
        matches, total = [0] * len(_ORDERS), [0] * len(_ORDERS)
        for gram, count in own.items():
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
        raise InputError(f"an n-gram has at least one token, not {n}")
    if not sequences:
        raise InputError("no texts to score")
    for place, tokens in enumerate(sequences, start=1):
        if isinstance(tokens, str):
            raise InputError(f"text {place} is not divided into tokens", hint="use words(texts)")
