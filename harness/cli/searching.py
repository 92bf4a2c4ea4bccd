"""`harness search`: what the command does, and what it prints."""

from __future__ import annotations

from harness.cli.console import CommandOutput
from harness.cli.options import RunOptions
from harness.cli.running import ProgressListener, show_verdicts
from harness.errors import InputError, Location
from harness.report.sections.search import headline
from harness.study.quantities import seconds_of
from harness.study.search_options import SearchOptions


def search_study(
    study: str,
    wanted: SearchOptions,
    options: RunOptions,
    output: CommandOutput,
    *,
    part: str,
    budget: tuple[int | None, str | None],
) -> None:
    """Search, prove the best point, print the verdicts, and write the report. Raises as `show_verdicts`."""
    trials, timeout = budget
    most_seconds = None if timeout is None else _seconds(timeout)
    words = (*(("--part", part) if part else ()), *wanted.words)
    search = options.load(study).searching(part, wanted.overrides(), words)
    with output.progress() as progress:
        search.run(trials=trials, timeout=most_seconds, listener=ProgressListener(output, progress))
    proof = search.proof
    if not output.quiet and not output.json:
        for line in headline(proof.findings()[0]):
            output.line(line)
    show_verdicts(proof, output, report=True)


def _seconds(timeout: str) -> float:
    try:
        return seconds_of(timeout)
    except ValueError as error:
        raise InputError(str(error), at=Location(f"--timeout {timeout}")) from None
