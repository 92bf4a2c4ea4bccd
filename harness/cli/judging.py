"""`harness judge`: what the command does, what it prints, and its exit codes."""

from __future__ import annotations

import contextlib
import re
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.cli.console import CommandOutput
from harness.cli.options import CommandEnds
from harness.cli.progress_listener import ProgressListener
from harness.cli.streams import ReaderGone
from harness.errors import InputError
from harness.exit_codes import ExitCode
from harness.experiment import Workspace
from harness.experiment.judged_pair import JudgedPair, Question, judged_pair
from harness.experiment.judging import FOLDER, PairJudgement, Word, judge

_CONTROL_NAME = re.compile(r"[a-z][a-z0-9_]{0,19}")

CODES: MappingProxyType[Word, ExitCode] = MappingProxyType(
    {
        "better": ExitCode.FINISHED,
        "equivalent": ExitCode.NO,
        "worse": ExitCode.NO,
        "not better": ExitCode.NO,
        "undecided": ExitCode.UNDECIDED,
        "invalid": ExitCode.INVALID,
    }
)
"""The exit code of each verdict."""


def judge_versions(
    versions: tuple[str, str],
    question: Question,
    workspace: Workspace,
    output: CommandOutput,
    *,
    device: str,
    confirm: bool,
    retry_failed: bool = False,
) -> None:
    """Judge A and B, print the verdict, and end with its exit code."""
    folder = workspace.results / FOLDER
    pair = judged_pair(*versions, question, folder=folder, here=Path.cwd())
    with output.progress() as progress:
        listener = ProgressListener(output, progress)
        judgement = judge(
            pair,
            workspace=workspace,
            device=device,
            confirm=confirm,
            retry_failed=retry_failed,
            listener=listener,
        )
    with contextlib.suppress(ReaderGone):  # the exit code says it as well
        _show(pair, question, judgement, output)
    raise CommandEnds(CODES[judgement.verdict])


def _show(pair: JudgedPair, question: Question, judgement: PairJudgement, output: CommandOutput) -> None:
    if output.json:
        output.data(_data(pair, question, judgement))
        return
    output.line(f"{judgement.verdict}: {judgement.reason}")
    if output.quiet:
        return
    for line in judgement.earlier:
        output.line(line)
    for warning in judgement.warnings:
        output.note(f"warning: {warning}")
    output.line(f"report: {judgement.report}")


def _data(pair: JudgedPair, question: Question, judgement: PairJudgement) -> dict[str, Any]:
    numbers = asdict(judgement.claim.numbers)
    return {
        "verdict": judgement.verdict,
        "exit_code": int(CODES[judgement.verdict]),
        "reason": judgement.reason,
        "metric": question.metric,
        "better": "higher" if question.higher else "lower",
        **{name: numbers[name] for name in ("effect", "low", "high")},
        "n": judgement.claim.n,
        "margin": judgement.margin,
        "confirmed_again": judgement.again,
        "controls_that_moved": list(judgement.moved),
        "earlier": list(judgement.earlier),
        "warnings": list(judgement.warnings),
        **{
            letter: {"named": one.named, "revision": one.revision, "folder": str(one.folder)}
            for letter, one in (("a", pair.a), ("b", pair.b))
        },
        "runs": list(judgement.runs),
        "report": str(judgement.report),
    }


def read_controls(written: list[str]) -> dict[str, str]:
    """`NAME=COMMAND` of each option. Raises InputError if one has another form."""
    controls: dict[str, str] = {}
    for one in written:
        name, equals, command = one.partition("=")
        if not equals or not _CONTROL_NAME.fullmatch(name):
            raise InputError(
                f"--control {one!r} is not NAME=COMMAND",
                hint="a name has up to 20 lowercase letters, digits and _",
            )
        if name in controls:
            raise InputError(f"--control {name} is given twice")
        controls[name] = command
    return controls


def read_place(written: str | None) -> dict[str, str] | None:
    """Where a program writes the metric, from `KIND:DETAIL[:DETAIL]`, for example `csv:log.csv:loss` or
    `pattern:loss ([0-9.]+)`. Raises InputError for another form.
    """
    if written is None:
        return None
    kind, _, rest = written.partition(":")
    fields = _PLACES.get(kind)
    details = rest.split(":", len(fields) - 1) if fields else []
    if fields is None or len(details) != len(fields) or not all(details):
        forms = ", ".join(":".join([name, *map(str.upper, names)]) for name, names in _PLACES.items())
        raise InputError(f"--values {written!r} has another form", hint=f"use one of {forms}")
    return {"kind": kind, **dict(zip(fields, details, strict=True))}


_PLACES: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {
        "pattern": ("pattern",),
        "json": ("file", "path"),
        "csv": ("file", "column"),
        "pytest-benchmark": ("file", "benchmark"),
        "tensorboard": ("folder", "tag"),
    }
)
"""The kinds of output that can be written in one option, with their fields in order."""
