"""Whether a score can measure a text: a reference that is compared with itself must reach the best value.

ROUGE sees only the letters a to z and digits, and BLEU needs four words, which text without spaces does not
have. Such scores are near 0 whatever is written, so two arms seem to be equal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

LEAST_SHARE = 0.5
"""The least share of the letters that takes part when references are compared with themselves."""

WORDS_NEEDED = {"bleu": 4, "length_ratio": 1, "ter": 1, "rouge1": 1, "rouge2": 2, "rougeL": 1}
"""The scores that divide the references into words, and how many words a text needs to have a score."""

_LATIN = re.compile(r"[a-z0-9]+")
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U000323af]"
)  # Thai, Lao, Tibetan, Burmese, Khmer, Japanese, Chinese
_TOKENIZER = re.compile(r"(?:^|\|)tok:([^|]+)")


def why_unfit(metric: str, references: tuple[str, ...], signature: str) -> str:
    """Why the score cannot measure these references, with what to do. Empty if it can.

    The `signature` of the score names its tokenizer. Without one, words are as the score itself divides text.
    """
    if metric not in WORDS_NEEDED:
        return ""
    tokenizer = ["", *_TOKENIZER.findall(signature)][-1]
    share = _share_of_letters(metric, references, tokenizer)
    if share >= LEAST_SHARE:
        return ""
    return (
        f"{metric} cannot measure these texts: when references are compared with themselves, only "
        f"{100 * share:.0f} % of their letters take part (use chrf, or set score_tokenizer to zh or char)"
    )


@lru_cache(maxsize=32)
def _share_of_letters(metric: str, references: tuple[str, ...], tokenizer: str) -> float:
    """The share of the letters and digits that are in words, in references with as many words as the score
    needs.
    """
    divide = _latin_words if metric.startswith("rouge") and not tokenizer else _divider(tokenizer)
    letters = seen = 0
    for reference in references:
        letters += _letters(reference)
        words = divide(reference)
        seen += sum(map(_letters, words)) if len(words) >= WORDS_NEEDED[metric] else 0
    return min(1.0, seen / letters) if letters else 0.0


def _divider(tokenizer: str) -> Callable[[str], Sequence[str]]:
    """Words of a tokenizer. White space does not divide scripts that are written without spaces."""
    if tokenizer in ("zh", "char"):
        return _characters
    return lambda text: [word for word in text.split() if not _WITHOUT_SPACES.search(word)]


def _latin_words(text: str) -> list[str]:
    return _LATIN.findall(text.lower())


def _characters(text: str) -> list[str]:
    return [character for character in text if not character.isspace()]


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))
