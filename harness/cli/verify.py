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

    Raises InvalidError if one does not, with the first difference, or if the store was changed after it was
    written.
    """
    verification = verify(report, location)
    difference = verification.difference
    if output.json:
        verified = difference is None and not verification.problems
        output.data({"report": str(report), "verified": verified, **asdict(verification)})
    for note in verification.notes:
        output.note(note)
    if verification.problems:
        raise InvalidError(
            f"the store was changed after it was written: {'; '.join(verification.problems)}",
            at=Location(location),
            hint="restore the store from a copy, or measure again with `harness run --fresh`",
        )
    if difference is not None:
        reported, recomputed = (_short(text) for text in (difference.reported, difference.recomputed))
        raise InvalidError(
            f"{difference.where}: the report says {reported}, but the store gives {recomputed}",
            at=Location(str(report)),
            hint="the report, the store or the code has changed; `harness report` writes the report again",
        )
    if not output.json and not output.quiet:
        heads = zip(verification.runs, verification.chains, strict=True)
        runs = ", ".join(f"{run}, chain {head}" if head else run for run, head in heads)
        output.line(f"{report}: {verification.numbers:,} numbers agree with the store ({runs})")


def _short(text: str) -> str:
    if not text:
        return "nothing"
    return repr(text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…")
