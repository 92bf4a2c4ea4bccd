"""`harness search`: what the command does, and what it prints."""

from __future__ import annotations

from harness.cli.console import CommandOutput
from harness.cli.options import RunOptions, seconds_option
from harness.cli.progress_listener import ProgressListener
from harness.cli.running import show_verdicts
from harness.report.sections.search import headline
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
    most_seconds = None if timeout is None else seconds_option(timeout, "--timeout")
    words = (*(("--part", part) if part else ()), *wanted.words)
    search = options.load(study).searching(part, wanted.overrides(), words)
    with output.progress() as progress:
        search.run(trials=trials, timeout=most_seconds, listener=ProgressListener(output, progress))
    proof = search.proof
    if not output.quiet and not output.json:
        for line in headline(proof.findings()[0]):
            output.line(line)
    show_verdicts(proof, output, report=True)
