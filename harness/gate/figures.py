"""The figures of a tree alone: measured, and compared with those of a file."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import InputError, InvalidError
from harness.experiment.loading import load
from harness.experiment.this_machine import this_machine
from harness.experiment.workspace import Workspace
from harness.gate.baseline_file import Figures, compare_figures
from harness.gate.decide import confirmed, rounds_needed
from harness.gate.files import write_file
from harness.gate.gate import GATE_FOLDER, ROUNDS
from harness.gate.measured_suite import measured_suite, process_medians
from harness.gate.result import GateResult, result_of
from harness.gate.suite import CONTROL, Suite, gate_study, list_suite, metric_names, stored
from harness.programs.source_tree import sources_in
from harness.programs.versions import Version
from harness.run.identity import environment_digest
from harness.run.listener import Listener
from harness.study.written import study_text
from harness.wording import count


@dataclass(frozen=True, kw_only=True)
class FigureQuestion:
    """Which suite is run in which tree, in so many rounds of two new processes."""

    suite: Suite
    tree: Version
    rounds: int = ROUNDS


def measure_figures(
    question: FigureQuestion, *, workspace: Workspace, device: str, listener: Listener | None = None
) -> Figures:
    """The seconds of every benchmark of a tree, one figure per process.

    Raises InputError if so few rounds could show nothing, and InvalidError if there is nothing to measure,
    if a benchmark has no figure, or if the machine was too noisy.
    """
    workspace.check_writable()
    suite, rounds = question.suite, question.rounds
    tree = stored(question.tree, sources_in(workspace.results))
    listed = list_suite(suite, tree)
    benchmarks = tuple(listed.benchmarks.values())
    if not benchmarks:
        raise InvalidError(f"{tree.named} has no benchmarks", hint="say where they are with --benchmarks")
    for one in benchmarks:
        if one.problem:
            raise InvalidError(f"{one.name} cannot be compared: {one.problem}")
    if rounds < rounds_needed(1):
        raise InputError(
            f"{count(rounds, 'round')} cannot show a regression", hint=f"use at least {rounds_needed(1)}"
        )
    folder = workspace.results / GATE_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "gate_figures.yaml"
    write_file(path, study_text(gate_study(path.stem, suite, (tree, tree), benchmarks, rounds)))
    experiment = load(path, scale="cpu", device=device, workspace=workspace, allow_commands=True)
    experiment.run(fresh=True, listener=listener)
    if problem := measured_suite(experiment, benchmarks).problem:
        raise InvalidError(problem)
    rows = process_medians(experiment)
    medians = {str(metric): tuple(values) for metric, values in rows.groupby("metric")["value"]}
    return Figures(
        machine=environment_digest(*this_machine(device)),
        control=medians[CONTROL],
        benchmarks={
            one.name: medians[key] for key, one in zip(metric_names(benchmarks), benchmarks, strict=True)
        },
        code=listed.code,
        margins={one.name: one.margin for one in benchmarks if one.margin is not None},
    )


def gate_with_file(
    before: Figures,
    now: Figures,
    question: FigureQuestion,
    *,
    workspace: Workspace,
    device: str,
    listener: Listener | None = None,
) -> GateResult:
    """The figures of a tree against those of a file. What regressed is measured a second time, and is red
    only if it regressed both times.
    """
    findings, problem = compare_figures(before, now)
    red = [one.name for one in findings if one.state == "regressed"]
    if problem or not red:
        return result_of(findings, problem)
    again = measure_figures(question, workspace=workspace, device=device, listener=listener)
    second, problem = compare_figures(before, again, among=red)
    by_name = {one.name: confirmed(one) for one in second}
    return result_of([by_name.get(one.name, one) for one in findings], problem)
