"""`harness verify`: compare a report with the store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from harness.cli.console import CommandOutput
from harness.errors import InvalidError, Location
from harness.verify.verify import verify

_MOST_LETTERS = 120


def verify_report(report: Path, location: str, output: CommandOutput) -> None:
    """Print that every number of the report follows from the store at `location`.

    Raises InvalidError, which names the first difference, if one does not.
    """
    verification = verify(report, location)
    difference = verification.difference
    if output.json:
        output.data({"report": str(report), "verified": difference is None, **asdict(verification)})
    for note in verification.notes:
        output.note(note)
    if difference is not None:
        reported, recomputed = (_short(text) for text in (difference.reported, difference.recomputed))
        raise InvalidError(
            f"{difference.where}: the report says {reported}, but the store gives {recomputed}",
            at=Location(str(report)),
            hint="the report, the store or the code has changed; `harness report` writes the report again",
        )
    if not output.json and not output.quiet:
        runs = ", ".join(verification.runs)
        output.line(f"{report}: {verification.numbers:,} numbers agree with the store ({runs})")


def _short(text: str) -> str:
    if not text:
        return "nothing"
    return repr(text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…")
