"""Void rounds: something outside of a trial disturbed it, so the timings of its round do not count."""

from __future__ import annotations

from collections.abc import Iterable

from harness.store.rows import COUNTED_STATES, TrialRow

DISTURBED = "disturbed"
"""The note of a trial that says what disturbed it."""


def disturbed_trials(rows: Iterable[TrialRow]) -> list[TrialRow]:
    """The measurements that count and that were disturbed from outside."""
    return [
        row
        for row in rows
        if row.purpose == "measure" and row.state in COUNTED_STATES and row.notes.get(DISTURBED)
    ]


def void_rounds(rows: Iterable[TrialRow]) -> frozenset[int]:
    """The numbers of the rounds with a disturbed trial. A round is void for all seeds, so that every model
    keeps equally many rounds.
    """
    return frozenset(row.round for row in disturbed_trials(rows))
