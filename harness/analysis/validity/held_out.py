"""Whether the text on which models are evaluated was held out: how much of it they were trained on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.config import canonical_json
from harness.store.rows import TrialRow
from harness.wording import percent_text

MOST_SEEN = 0.05
"""The largest share of a held-out text that may occur in the training text. Of the corpora that ship, the
validation and test sets that studies use have between 0.0004 and 0.0033 (docs/validity.md, "Equal work").
"""

Cell = tuple[str, str]
"""Arm, condition as canonical JSON."""


def seen_texts(trials: Iterable[TrialRow]) -> dict[Cell, str]:
    """The arms, under each condition, whose evaluation text was not held out, with the reason."""
    reasons: dict[Cell, str] = {}
    for trial in trials:
        note = trial.notes.get("held_out") if trial.purpose == "measure" else None
        if note is not None and note["share"] > MOST_SEEN:
            reasons.setdefault(
                (trial.arm, canonical_json(trial.condition)),
                f"{trial.arm} was evaluated on {note['text']}, of which {percent_text(note['share'])} occurs "
                f"in the text that its model was trained on (at most {percent_text(MOST_SEEN)} may)",
            )
    return reasons


def overlap_facts(trials: Iterable[TrialRow]) -> Iterator[tuple[str, str]]:
    """Each text that models were evaluated on, and how much of it occurs in their training text."""
    facts: dict[str, str] = {}
    for trial in trials:
        note = trial.notes.get("held_out")
        if note is not None:
            facts[note["text"]] = (
                f"{percent_text(note['share'])} of it occurs in the training text of {note['training']}"
            )
    yield from facts.items()
