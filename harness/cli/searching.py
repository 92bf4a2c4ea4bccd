"""`harness search`: what the command does, and what it prints."""

from __future__ import annotations

import re

from harness.cli.console import CommandOutput
from harness.cli.options import RunOptions
from harness.cli.running import ProgressListener, show_verdicts
from harness.errors import InputError
from harness.report.sections.search import headline
from harness.study.search_options import SearchOptions

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(text: str) -> float:
    """`90s`, `30m`, `1.5h` or `2d` in seconds. Raises InputError if the text has another form."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if match is None or float(match[1]) == 0:
        raise InputError(f"--timeout {text!r} is not a time", hint="for example 90s, 30m or 1.5h")
    return float(match[1]) * _UNITS[match[2]]


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
    most_seconds = None if timeout is None else seconds_of(timeout)
    words = (*(("--part", part) if part else ()), *wanted.words)
    search = options.load(study).searching(part, wanted.overrides(), words)
    with output.progress() as progress:
        search.run(trials=trials, timeout=most_seconds, listener=ProgressListener(output, progress))
    proof = search.proof
    if not output.quiet and not output.json:
        for line in headline(proof.findings()[0]):
            output.line(line)
    show_verdicts(proof, output, report=True)
