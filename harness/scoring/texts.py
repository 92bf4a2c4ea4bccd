"""What every score asks of its texts before it looks at them."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import InputError


def check_texts(texts: Sequence[str], references: Sequence[str], *, name: str = "hypotheses") -> None:
    """InputError unless there is one text for each reference, and no reference is missing or blank.

    A hypothesis may be blank: a model that says nothing is scored for it.
    """
    for what, given in ((name, texts), ("references", references)):
        check_strings(what, given)
    if len(texts) != len(references):
        raise InputError(
            f"{len(texts)} {name} for {len(references)} references",
            hint=f"give one reference for each of the {name}, in the same order",
        )
    for place, reference in enumerate(references, start=1):
        if not reference.strip():
            raise InputError(f"reference {place} is empty", hint="leave such sentences out of the test set")


def check_strings(name: str, texts: Sequence[str]) -> None:
    """InputError unless `texts` is a sequence of one or more strings, and not itself a string."""
    if isinstance(texts, str):
        raise InputError(f"{name} is one text, not a sequence of texts")
    if not texts:
        raise InputError(f"no {name} to score")
    for place, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            raise InputError(f"{name} {place} is no text but {type(text).__name__}")
