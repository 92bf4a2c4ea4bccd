"""The work of a trial: how much it spent, and on what it was measured.

Everything that an arm could gain by doing less, or by being measured otherwise, is an entry. A number is an
amount (`updates`, `new_tokens`). A text is a fingerprint of a text, a tokenizer or an order: a name for
people, and a digest of the content. Arms are compared by every entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.config import digest

Amount = float | str
Work = Mapping[str, Amount]

MARK = " #"


def fingerprint(name: str, content: Any) -> str:
    """`wikitext-2 valid #3f2a9c10deadbeef`. `content` is plain data, or a digest of something larger."""
    return f"{name}{MARK}{digest({'content': content})}"


def fingerprint_of_texts(name: str, texts: Iterable[str]) -> str:
    """The fingerprint of texts in this order."""
    return fingerprint(name, list(texts))


def compared(amount: Amount) -> Amount:
    """What must be equal in two arms: a number, or the digest of a fingerprint, whatever its name is."""
    return amount.rpartition(MARK)[2] if isinstance(amount, str) else amount


def amount_text(amount: Amount) -> str:
    """`1,000`, or the name in a fingerprint with the first digits of its digest."""
    if not isinstance(amount, str):
        return f"{amount:,.15g}"
    name, _, code = amount.rpartition(MARK)
    return f"{name} ({code[:6]})" if name else code
