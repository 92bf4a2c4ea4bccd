"""`harness gate`: what the command does, what it prints, and its exit codes."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from harness.cli.console import CommandOutput
from harness.cli.gate_formats import markdown, rows_of, smaller_is_better
from harness.cli.options import CommandEnds
from harness.cli.progress_listener import ProgressListener
from harness.cli.streams import ReaderGone
from harness.errors import InputError, InvalidError, Location
from harness.exit_codes import ExitCode
from harness.experiment import Workspace
from harness.gate.baseline_file import read_figures, write_figures
from harness.gate.figures import FigureQuestion, gate_with_file, measure_figures
from harness.gate.gate import GATE_FOLDER, ROUNDS, GateQuestion, gate
from harness.gate.result import GateResult, GateVerdict, result_of
from harness.gate.self_test import TIMES_THE_MARGIN, SelfTest, self_test
from harness.gate.suite import Suite, suite_python
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

FORMS = ("table", "markdown", "smaller-is-better")


@dataclass(frozen=True, kw_only=True)
class GateOptions:
    """What `harness gate` was asked: the baseline (a revision or a file), the suite, and how much to run.

    `check` raises InputError if some of it excludes the rest.
    """

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
        """The suite, with its path relative to the folder of the project: it is run in copies of that."""
        here, benchmarks = Path.cwd(), os.path.normpath(self.benchmarks)
        path = Path(os.path.relpath(benchmarks, here) if os.path.isabs(benchmarks) else benchmarks)  # noqa: PTH117
        if ".." in path.parts:
            raise InputError(
                f"{self.benchmarks} is not in {here}", hint="run the command in the folder of the project"
            )
        paths = (path.as_posix(),)
        return (
            Suite(paths=paths)
            if self.python is None
            else Suite(paths=paths, python=suite_python(self.python))
        )

    def check(self, form: str) -> None:
        files = self.baseline is not None or self.save is not None
        if form not in FORMS:
            raise InputError(f"unknown format {form!r}", hint=f"use one of {', '.join(FORMS)}")
        if files and self.against is not None:
            raise InputError("the baseline is a revision or a file, not both")
        if files and self.budget is not None:
            raise InputError("--budget is for a revision as the baseline", hint="use --rounds")
        if self.rounds is not None and self.rounds < 1:
            raise InputError(f"--rounds {self.rounds} is nothing to measure")
        for file in (self.baseline, self.save):
            if file is not None and not file.absolute().parent.is_dir():
                raise InputError("there is no such folder", at=Location(str(file.absolute().parent)))


def run_gate(
    asked: GateOptions, workspace: Workspace, output: CommandOutput, *, device: str, form: str
) -> None:
    """Compare the working tree with its baseline, print the result, and end with its exit code."""
    asked.check(form)
    with output.progress() as progress:
        listener = ProgressListener(output, progress)
        if asked.baseline is not None or asked.save is not None:
            try:
                result = _with_files(asked, workspace, device, listener)
            except InvalidError as error:
                result = result_of((), str(error))
        else:
            question = GateQuestion(
                suite=asked.suite,
                versions=(_baseline(asked, workspace), _tree(asked, workspace)),
                rounds=asked.rounds,
                budget=asked.budget,
            )
            result = gate(question, workspace=workspace, device=device, listener=listener)
    with contextlib.suppress(ReaderGone):  # the exit code says it as well
        _show(result, output, form)
    raise CommandEnds(CODES[result.verdict])


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
    tree = _tree(asked, workspace)
    question = FigureQuestion(suite=asked.suite, tree=tree, rounds=asked.rounds or ROUNDS)
    now = measure_figures(question, workspace=workspace, device=device, listener=listener)
    target = asked.save or (asked.baseline if before is None else None)
    if target is not None:
        write_figures(target, now)
    if before is None:
        return GateResult(
            verdict="passed", reason=f"the first run was saved in {target}; nothing was compared"
        )
    return gate_with_file(before, now, question, workspace=workspace, device=device, listener=listener)


def check_gate(
    asked: GateOptions, workspace: Workspace, output: CommandOutput, *, device: str, real: bool
) -> None:
    """Run the gate on itself and print both figures: what it finds, and what it finds without a cause. With
    `real`, in the benchmarks of the working tree.
    """
    asked.check(FORMS[0])
    with output.progress() as progress:
        tested = self_test(
            asked.suite if real else None,
            _tree(asked, workspace) if real else None,
            workspace=workspace,
            device=device,
            rounds=asked.rounds,
            listener=ProgressListener(output, progress),
        )
    with contextlib.suppress(ReaderGone):
        _show_self_test(tested, output)
    if tested.false or tested.detected + tested.invalid < tested.planted:
        raise CommandEnds(ExitCode.NO)
    if tested.invalid:
        raise CommandEnds(ExitCode.INVALID)


def _show_self_test(tested: SelfTest, output: CommandOutput) -> None:
    if output.json:
        numbers = {
            name: getattr(tested, name) for name in ("planted", "detected", "false", "gates", "invalid")
        }
        output.data({**numbers, "results": {name: one.plain() for name, one in tested.results.items()}})
        return
    output.line(
        f"planted slow-downs of {TIMES_THE_MARGIN:g} × the margin: "
        f"{tested.detected} of {tested.planted} detected"
    )
    output.line(f"false alarms: {tested.false} in {tested.gates} gates; {tested.invalid} gates were invalid")
    for name, result in tested.results.items():
        output.note(f"{name or 'without a plant'}: {result.verdict}, {result.reason}")


def _builds(workspace: Workspace) -> Path:
    return workspace.results / GATE_FOLDER / "builds"


def _tree(asked: GateOptions, workspace: Workspace) -> Version:
    """The working tree. It is a revision if it is as the last commit."""
    here, builds = Path.cwd(), _builds(workspace)
    tree = version(str(here), builds=builds, setup=asked.setup, here=here)
    head = _unchanged_head(builds)
    return Version(
        named="the working tree",
        folder=tree.folder,
        revision=head.revision if head else None,
        built=tree.built,
        committed=head.committed if head else None,
    )


def _unchanged_head(builds: Path) -> Version | None:
    """The last commit if the working tree is as it is. Only files that a gate reads count."""
    here = Path.cwd()
    try:
        head = version("HEAD", builds=builds, setup=None, here=here)
    except InputError:
        return None
    tree = version(str(here), builds=builds, setup=None, here=here)
    return head if head.content == tree.content else None


def _baseline(asked: GateOptions, workspace: Workspace) -> Version:
    """The version that `--against` names, or else the last commit, or the one before if the working tree is
    as the last one.
    """
    here, builds = Path.cwd(), _builds(workspace)
    if asked.against is not None:
        return version(asked.against, builds=builds, setup=asked.setup, here=here)
    named = "HEAD~1" if _unchanged_head(builds) else "HEAD"
    try:
        return version(named, builds=builds, setup=asked.setup, here=here)
    except InputError as error:
        raise InputError(
            f"there is no earlier revision to compare with: {error.message}",
            hint="choose one with --against, or use a file: --baseline FILE",
        ) from None
