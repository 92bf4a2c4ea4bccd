"""`harness verify`: a report against the store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from harness.cli.console import Output
from harness.errors import InvalidError, Location
from harness.verify.verify import verify

_MOST_LETTERS = 120


def verify_report(report: Path, location: str, output: Output) -> None:
    """Tell that every number is what the store gives, or raise InvalidError with the first that is not, and
    where.
    """
    found = verify(report, location)
    if output.json:
        output.data({"report": str(report), "verified": found.difference is None, **asdict(found)})
    for note in found.notes:
        output.note(note)
    wrong = found.difference
    if wrong is not None:
        said, given = (_short(text) for text in (wrong.reported, wrong.recomputed))
        raise InvalidError(
            f"{wrong.place}: the report says {said}, the store gives {given}",
            at=Location(str(report)),
            hint="the report, the store or the code has changed since; `harness report` writes it anew",
        )
    if not output.json and not output.quiet:
        output.line(
            f"{report}: {found.numbers:,} numbers, each as the store gives it ({', '.join(found.runs)})"
        )


def _short(text: str) -> str:
    if not text:
        return "nothing"
    return repr(text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…")
