"""A finding about the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "limited", "missing"]
"""`ok`: nothing to do. `limited`: measurements work, but less well. `missing`: something is not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was seen of a subject, what this means for measurements, and what a person can do about it.

    `meaning` and `advice` may be empty if the state is `ok`.
    """

    subject: str
    state: State
    seen: str
    meaning: str = ""
    advice: str = ""
