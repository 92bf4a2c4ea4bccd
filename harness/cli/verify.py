"""`harness verify`: compare a report with the store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from harness.cli.console import CommandOutput
from harness.errors import InputError, InvalidError, Location
from harness.experiment.stored_runs import find_run
from harness.store.store import open_store
from harness.verify.verify import verify

_MOST_LETTERS = 120


def report_to_verify(report: Path | None, wanted: str | None, location: str) -> Path:
    """The file that is given, or the last report of the run with the id `wanted`.

    Raises InputError if neither is given, or if the run has no report.
    """
    if report is not None:
        return report
    if wanted is None:
        raise InputError("a report is missing; or give a run with --run", hint="reports are HTML files")
    with open_store(location) as store:
        run = find_run(store, wanted)
        written = store.artifact("report", run.id)
    if written is None:
        hint = f"`harness report --run {run.id}` writes one"
        raise InputError(f"no report of run {run.id} was written", hint=hint)
    return Path(written.path)


def verify_report(report: Path, location: str, output: CommandOutput, *, run: str | None = None) -> None:
    """Print that every number of the report follows from the store at `location`.

    Raises InputError if the report is not about the run with the id `run`, and InvalidError if a number does
    not follow, with the first difference, or if the store was changed after it was written.
    """
    verification = verify(report, location)
    if run is not None:
        with open_store(location) as store:
            wanted = find_run(store, run).id
        if wanted not in verification.runs:
            about = ", ".join(verification.runs)
            raise InputError(f"this report is about run {about}, not {wanted}", at=Location(str(report)))
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
        about = f" ({runs})" if runs else ""
        output.line(f"{report}: {verification.numbers:,} numbers agree with the store{about}")


def _short(text: str) -> str:
    if not text:
        return "nothing"
    return repr(text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…")
