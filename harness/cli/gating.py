"""`harness gate`: what the command does, what it prints, and its exit codes."""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from harness.cli.console import CommandOutput
from harness.cli.gate_formats import markdown, rows_of, smaller_is_better
from harness.cli.options import CommandEnds
from harness.cli.running import ProgressListener
from harness.cli.streams import ReaderGone
from harness.errors import InputError
from harness.exit_codes import ExitCode
from harness.experiment import Workspace
from harness.gate.baseline_file import read_figures, write_figures
from harness.gate.gate import (
    GATE_FOLDER,
    ROUNDS,
    GateQuestion,
    GateResult,
    GateVerdict,
    against_file,
    figures,
    gate,
)
from harness.gate.self_test import self_test
from harness.gate.suite import Suite
from harness.programs.versions import Version, version

CODES: MappingProxyType[GateVerdict, ExitCode] = MappingProxyType(
    {
        "passed": ExitCode.FINISHED,
        "regressed": ExitCode.NO,
        "undecided": ExitCode.UNDECIDED,
        "invalid": ExitCode.INVALID,
    }
)
"""The exit code of each verdict."""


@dataclass(frozen=True, kw_only=True)
class GateOptions:
    """What `harness gate` was asked: the baseline (a revision or a file), the suite, and how much to run."""

    benchmarks: Path
    against: str | None = None
    baseline: Path | None = None
    save: Path | None = None
    setup: str | None = None
    python: str | None = None
    rounds: int | None = None
    budget: float | None = None

    @property
    def suite(self) -> Suite:
        paths = (self.benchmarks.as_posix(),)
        return Suite(paths=paths) if self.python is None else Suite(paths=paths, python=self.python)


def run_gate(
    asked: GateOptions, workspace: Workspace, output: CommandOutput, *, device: str, form: str
) -> None:
    """Compare the working tree with its baseline, print the result, and end with its exit code."""
    if form not in FORMS:
        raise InputError(f"unknown format {form!r}", hint=f"use one of {', '.join(FORMS)}")
    with output.progress() as progress:
        listener = ProgressListener(output, progress)
        if asked.baseline is not None or asked.save is not None:
            result = _with_files(asked, workspace, device, listener)
        else:
            versions = _baseline(asked, workspace), _tree(asked, workspace)
            question = GateQuestion(
                suite=asked.suite, versions=versions, rounds=asked.rounds, budget=asked.budget
            )
            result = gate(question, workspace=workspace, device=device, listener=listener)
    with contextlib.suppress(ReaderGone):  # the exit code says it as well
        _show(result, output, form)
    raise CommandEnds(CODES[result.verdict])


FORMS = ("table", "markdown", "smaller-is-better")


def _show(result: GateResult, output: CommandOutput, form: str) -> None:
    if form == "markdown":
        output.export(markdown(result))
    elif form == "smaller-is-better":
        output.export(smaller_is_better(result))
    elif output.json:
        output.data({**result.plain(), "exit_code": int(CODES[result.verdict])})
    else:
        output.line(f"{result.verdict}: {result.reason}")
        output.table(
            rows_of(result), ["benchmark", "state", "ratio", "interval", "margin", "rounds", "reason"]
        )
        for warning in result.warnings:
            output.note(f"warning: {warning}")


def _with_files(
    asked: GateOptions, workspace: Workspace, device: str, listener: ProgressListener
) -> GateResult:
    """Measure the tree alone. A baseline that is not there yet is saved, and nothing is compared."""
    before = read_figures(asked.baseline) if asked.baseline is not None and asked.baseline.exists() else None
    now, margins = figures(
        asked.suite,
        _tree(asked, workspace),
        workspace=workspace,
        device=device,
        rounds=asked.rounds or ROUNDS,
        listener=listener,
    )
    target = asked.save or (asked.baseline if before is None else None)
    if target is not None:
        write_figures(target, now)
    if before is None:
        return GateResult(
            verdict="passed", reason=f"the first run was saved in {target}; nothing was compared"
        )
    return against_file(now, margins, before)


def check_gate(
    asked: GateOptions | None, workspace: Workspace, output: CommandOutput, *, device: str
) -> None:
    """Run the gate on itself and print both figures: what it finds, and what it finds without a cause."""
    with output.progress() as progress:
        suite = None if asked is None else asked.suite
        tree = Version(named="working tree", folder=Path.cwd(), revision=None, built=False)
        tested = self_test(
            suite,
            tree if asked is None else _tree(asked, workspace),
            workspace=workspace,
            device=device,
            rounds=None if asked is None else asked.rounds,
            listener=ProgressListener(output, progress),
        )
    if output.json:
        output.data(
            {name: getattr(tested, name) for name in ("planted", "detected", "false", "gates", "invalid")}
        )
    else:
        output.line(f"planted slow-downs of 10 %: {tested.detected} of {tested.planted} detected")
        output.line(
            f"false alarms: {tested.false} in {tested.gates} gates; {tested.invalid} gates were invalid"
        )
    if tested.invalid:
        raise CommandEnds(CODES["invalid"])
    if tested.detected < tested.planted or tested.false:
        raise CommandEnds(CODES["regressed"])


def _tree(asked: GateOptions, workspace: Workspace) -> Version:
    builds = workspace.results / GATE_FOLDER / "builds"
    tree = version(str(Path.cwd()), builds=builds, setup=asked.setup, here=Path.cwd())
    return Version(named="the working tree", folder=tree.folder, revision=None, built=tree.built)


def _baseline(asked: GateOptions, workspace: Workspace) -> Version:
    revision = asked.against or ("HEAD" if _has_changes(Path.cwd()) else "HEAD~1")
    builds = workspace.results / GATE_FOLDER / "builds"
    return version(revision, builds=builds, setup=asked.setup, here=Path.cwd())


def _has_changes(folder: Path) -> bool:
    """Whether files that Git tracks, or would track, were changed since the last commit."""
    command = ["git", "-C", str(folder), "status", "--porcelain"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError:
        return False
    lines = [line[3:] for line in done.stdout.splitlines()]
    return any(not line.startswith(("results/", "reports/")) for line in lines)
