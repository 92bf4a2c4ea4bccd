"""How many transactions this process has recorded, in any database.

Exit code 2 promises that a command has written nothing, so a command has to know.
"""

from __future__ import annotations

_recorded = 0


def recorded_transactions() -> int:
    """The number so far."""
    return _recorded


def count_transaction() -> None:
    """A transaction was recorded, or may have been: its connection broke."""
    global _recorded
    _recorded += 1
