"""The texts that an arm wrote, with all that a score may need, and the checks that all scores share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from harness.errors import InputError

_WORD = re.compile(r"\w+")

ScoreTokenizer = Literal["13a", "intl", "zh", "char"]
"""The tokenizers of sacrebleu that need no further package and no network."""

DEFAULT_TOKENIZER: ScoreTokenizer = "13a"


@dataclass(frozen=True)
class LogLikelihoods:
    """The log-probability that a model gives to each text, in nats, and the number of its tokens."""

    nats: list[float]
    tokens: list[int]


@dataclass(frozen=True, kw_only=True, eq=False)
class WrittenTexts:
    """One output per reference, the model's likelihoods of both, and the digest of the model's tokenizer.
    `reference_bytes` are the bytes that the tokens of each reference stand for: a text that is cut inside a
    character has fewer. `score_tokenizer` divides texts into words for the scores that count words.

    Raises InputError if there are fewer than two texts, or for the reasons that `check_texts` gives.
    """

    outputs: Sequence[str]
    references: Sequence[str]
    output_likelihoods: LogLikelihoods
    reference_likelihoods: LogLikelihoods
    reference_bytes: Sequence[int]
    tokenizer: str
    score_tokenizer: ScoreTokenizer = DEFAULT_TOKENIZER

    def __post_init__(self) -> None:
        check_texts(self.outputs, self.references, name="outputs")

    @cached_property
    def words(self) -> list[list[str]]:
        """The words of each output."""
        return words(self.outputs, self.score_tokenizer)


def words(texts: Sequence[str], tokenizer: ScoreTokenizer = DEFAULT_TOKENIZER) -> list[list[str]]:
    """The words of each text, as BLEU divides it."""
    from sacrebleu.metrics.bleu import BLEU

    check_strings("texts", texts)
    tokenize = BLEU(tokenize=tokenizer).tokenizer
    return [tokenize(text.rstrip()).split() for text in texts]


def unseen_words(sources: Sequence[str], known: Iterable[str]) -> tuple[int, ...]:
    """The number of words of each source that occur in none of the `known` texts, ignoring case."""
    seen = {word for text in known for word in _WORD.findall(text.lower())}
    return tuple(sum(word not in seen for word in _WORD.findall(source.lower())) for source in sources)


def check_texts(texts: Sequence[str], references: Sequence[str], *, name: str = "hypotheses") -> None:
    """Raises InputError if there is not one text per reference, or if a reference is missing or blank.

    A text may be blank: a model that writes nothing is scored for it.
    """
    for what, given in ((name, texts), ("references", references)):
        check_strings(what, given)
    if len(texts) != len(references):
        raise InputError(
            f"there are {len(texts)} {name} but {len(references)} references",
            hint=f"give one reference for each of the {name}, in the same order",
        )
    for number, reference in enumerate(references, start=1):
        if not reference.strip():
            raise InputError(f"reference {number} is empty", hint="leave such sentences out of the test set")


def check_strings(name: str, texts: Sequence[str]) -> None:
    """Raises InputError if `texts` is a string, is empty, or has an element that is not a string."""
    if isinstance(texts, str):
        raise InputError(f"{name} must be a sequence of texts, but it is a single text")
    if not texts:
        raise InputError(f"there are no {name} to score")
    for number, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            raise InputError(f"{name}: text {number} must be a string, but it is {type(text).__name__}")
