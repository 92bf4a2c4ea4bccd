"""The gate: which benchmarks of a working tree are slower than those of a baseline revision."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from harness.analysis.frames import unchecked_frames
from harness.analysis.validity.voids import why_voids_decide_nothing
from harness.config import digest
from harness.errors import InputError
from harness.experiment.experiment import Experiment, this_machine
from harness.experiment.judging import pairs_within
from harness.experiment.loading import load
from harness.experiment.workspace import Workspace
from harness.gate.baseline_file import Figures, compare_figures
from harness.gate.benchmarks import Benchmark
from harness.gate.decide import MARGIN, BenchmarkFinding, Measured, decide, rounds_needed
from harness.gate.suite import CONTROL, ListedSuite, Suite, gate_study, list_suite, metric_names, version_tree
from harness.metrics import declared
from harness.programs.source_tree import sources_in
from harness.programs.versions import Version
from harness.report.inputs import ReportInput
from harness.run.driver import Listener
from harness.run.identity import environment_digest
from harness.study.loaded import LoadedStudy
from harness.study.written import study_text
from harness.wording import count

GATE_FOLDER = "gate"
"""Where the studies, the builds and the results of gates are, in the folder of results."""
ROUNDS, MOST_ROUNDS = 10, 50

GateVerdict = Literal["passed", "regressed", "undecided", "invalid"]


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """What the gate says. `reason` is one sentence, and `study` names the study that measured."""

    verdict: GateVerdict
    reason: str
    findings: tuple[BenchmarkFinding, ...] = ()
    warnings: tuple[str, ...] = field(default=())
    study: str = ""

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> GateResult:
        """The result from its plain data."""
        findings = tuple(BenchmarkFinding(**one) for one in document["findings"])
        return cls(**{**document, "findings": findings, "warnings": tuple(document["warnings"])})


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The benchmarks of two versions: those that both have, and those that cannot be compared."""

    common: tuple[Benchmark, ...]
    others: tuple[BenchmarkFinding, ...]


@dataclass(frozen=True, kw_only=True)
class GateQuestion:
    """Which suite is run in which two versions, the baseline and the tree, with which variables in each, and
    how often: so many rounds, or as many as fit into a budget of seconds.
    """

    suite: Suite
    versions: tuple[Version, Version]
    rounds: int | None = None
    budget: float | None = None
    environments: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})


def gate(
    question: GateQuestion, *, workspace: Workspace, device: str, listener: Listener | None = None
) -> GateResult:
    """Run the suite of both versions (the baseline and the tree) in alternating new processes, and decide.

    What regressed is measured a second time, and is red only if it regressed both times. The same two
    versions are not measured again, unless their result was invalid: it stands.
    """
    workspace.check_writable()
    suite, versions, rounds = question.suite, question.versions, question.rounds
    folder, sources = workspace.results / GATE_FOLDER, sources_in(workspace.results)
    compared = _compared(*(list_suite(suite, one, sources) for one in versions))
    if not compared.common:
        return _nothing_to_compare(compared)
    needed = rounds_needed(len(compared.common))
    if rounds is not None and rounds < needed:
        raise InputError(
            f"{rounds} rounds cannot find a regression among {count(len(compared.common), 'benchmark')}",
            hint=f"use at least {needed}",
        )
    trees = [version_tree(one).digest for one in versions]
    names = [one.name for one in compared.common]
    asked = [trees, names, suite.words, rounds, question.budget, list(question.environments)]
    name = f"gate_{digest(asked)[:8]}"
    stored = folder / f"{name}.json"
    before = GateResult.read(json.loads(stored.read_text(encoding="utf-8"))) if stored.exists() else None
    if before is not None and before.verdict != "invalid":
        return before
    folder.mkdir(parents=True, exist_ok=True)

    def experiment_of(rounds: int | None) -> Experiment:
        path = folder / f"{name}{'' if rounds else '_pilot'}.yaml"
        document = gate_study(
            path.stem, suite, versions, compared.common, rounds, environments=question.environments
        )
        path.write_text(study_text(document), encoding="utf-8")
        return load(path, scale="cpu", device=device, workspace=workspace, allow_commands=True)

    wanted = rounds or max(ROUNDS, needed)
    if question.budget is not None:
        pilot = experiment_of(None).run(listener=listener)
        wanted = min(pairs_within(question.budget, pilot, fewest=needed), rounds or MOST_ROUNDS)
    result = _decided(experiment_of(wanted), compared, listener, fresh=before is not None)
    stored.write_text(json.dumps(result.plain()), encoding="utf-8")
    return result


def figures(
    suite: Suite,
    tree: Version,
    *,
    workspace: Workspace,
    device: str,
    rounds: int = ROUNDS,
    listener: Listener | None = None,
) -> tuple[Figures, dict[str, float]]:
    """The seconds of every benchmark of a tree in so many processes, and the margins that benchmarks state.

    Raises InputError if there are no benchmarks, or if one of them has no figure.
    """
    listed = list_suite(suite, tree, sources_in(workspace.results)).benchmarks
    if not listed:
        raise InputError(f"{tree.named} has no benchmarks", hint="give their folder with --benchmarks")
    for one in listed.values():
        if one.problem:
            raise InputError(f"{one.name} cannot be compared: {one.problem}")
    benchmarks = tuple(listed.values())
    folder = workspace.results / GATE_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    document = gate_study("gate_figures", suite, (tree, tree), benchmarks, rounds)
    path = folder / "gate_figures.yaml"
    path.write_text(study_text(document), encoding="utf-8")
    experiment = load(path, scale="cpu", device=device, workspace=workspace, allow_commands=True)
    experiment.run(fresh=True, listener=listener)
    frame = experiment.frame()
    frame = frame[frame["purpose"] == "measure"]
    medians = frame.groupby(["metric", "trial"])["value"].median()
    seconds = {name: tuple(medians[key]) for key, name in _names(benchmarks).items() if key in medians}
    if seconds.keys() != listed.keys() or CONTROL not in medians:
        raise InputError("some trials failed, so there are no figures", hint=f"harness show {path}")
    machine = environment_digest(*this_machine(device))
    margins = {one.name: one.margin for one in benchmarks if one.margin is not None}
    return Figures(machine=machine, control=tuple(medians[CONTROL]), benchmarks=seconds), margins


def _names(benchmarks: Sequence[Benchmark]) -> dict[str, str]:
    return dict(zip(metric_names(benchmarks), (one.name for one in benchmarks), strict=True))


def against_file(now: Figures, margins: Mapping[str, float], before: Figures) -> GateResult:
    """The figures of a tree against those of a file."""
    findings, problem = compare_figures(before, now, margins)
    return _result(findings, problem)


def _decided(
    experiment: Experiment, compared: Compared, listener: Listener | None, *, fresh: bool
) -> GateResult:
    experiment.run(fresh=fresh, listener=listener)
    first = _measured(experiment, compared)
    problem = _problem(experiment, first)
    findings = decide(first.benchmarks)
    red = [name for name, finding in findings.items() if finding.state == "regressed"]
    if red and not problem:
        experiment.run(fresh=True, listener=listener)
        second = _measured(experiment, compared)
        problem = _problem(experiment, second)
        again = decide(second.benchmarks, among=red)
        findings |= {name: _confirmed(again[name]) for name in red}
    all_findings = (*findings.values(), *compared.others)
    result = _result(all_findings, problem)
    return replace(result, study=experiment.name, warnings=first.warnings)


@dataclass(frozen=True, kw_only=True)
class _Round:
    """What one run measured."""

    loaded: LoadedStudy
    benchmarks: Mapping[str, Measured]
    control: Measured
    invalid: str
    warnings: tuple[str, ...]


def _measured(experiment: Experiment, compared: Compared) -> _Round:
    (part,) = experiment.judge()
    pairs = _pairs(part)
    keys = metric_names(compared.common)
    benchmarks = {
        one.name: replace(pairs[key], margin=one.margin or MARGIN)
        for key, one in zip(keys, compared.common, strict=True)
    }
    invalid = "; ".join(f"{arm}: {reason}" for arm, reason in part.analysis.invalid.items())
    return _Round(
        loaded=part.loaded,
        benchmarks=benchmarks,
        control=pairs[CONTROL],
        invalid=invalid,
        warnings=tuple(part.analysis.warnings),
    )


def _pairs(part: ReportInput) -> dict[str, Measured]:
    return {
        one.metric: Measured(
            pairs=tuple(ratio for _, ratio in one.pairs),
            problem=one.reason if one.verdict == "invalid" else "",
        )
        for one in part.analysis.contrasts
    }


def _problem(experiment: Experiment, measured: _Round) -> str:
    """Why nothing can be decided: an arm failed, the machine was not quiet, or the control moved."""
    if measured.invalid:
        return measured.invalid
    with declared(experiment.records), experiment.opened() as (store, runs):
        noise = why_voids_decide_nothing(measured.loaded, unchecked_frames(store, runs[0]))
    if noise:
        return f"the machine is too noisy: {noise}"
    slower = decide({CONTROL: measured.control})[CONTROL]
    mirrored = replace(measured.control, pairs=tuple(-ratio for ratio in measured.control.pairs))
    faster = decide({CONTROL: mirrored})[CONTROL]
    if "regressed" in (slower.state, faster.state):
        return (
            f"the control loop, which no version contains, took {slower.ratio:.3g} × "
            f"({slower.low:.3g} to {slower.high:.3g} ×) the time of the baseline"
        )
    return ""


def _confirmed(second: BenchmarkFinding) -> BenchmarkFinding:
    """What is left of a regression after the second run."""
    if second.state == "regressed":
        return second
    return replace(second, state="undecided", reason="it regressed in the first run only")


def _compared(baseline: ListedSuite, tree: ListedSuite) -> Compared:
    common, others = [], []
    for name, one in tree.benchmarks.items():
        before = baseline.benchmarks.get(name)
        if before is None:
            others.append(BenchmarkFinding(name=name, state="new", reason="the baseline does not have it"))
        elif tree.files[name] != baseline.files[name]:
            others.append(
                BenchmarkFinding(name=name, state="new", reason="its file or a conftest.py changed")
            )
        elif one.problem or before.problem:
            others.append(BenchmarkFinding(name=name, state="invalid", reason=one.problem or before.problem))
        else:
            common.append(one)
    for name in baseline.benchmarks.keys() - tree.benchmarks.keys():
        others.append(BenchmarkFinding(name=name, state="vanished", reason="only the baseline has it"))
    return Compared(common=tuple(common), others=tuple(others))


def _nothing_to_compare(compared: Compared) -> GateResult:
    if compared.others and all(one.state == "new" for one in compared.others):
        reason = "all benchmarks are new, so there is nothing to compare"
        return GateResult(verdict="passed", reason=reason, findings=compared.others)
    return _result(compared.others, "" if compared.others else "no benchmark was found")


def _result(findings: Sequence[BenchmarkFinding], problem: str) -> GateResult:
    def named(*states: str) -> list[str]:
        return [one.name for one in findings if one.state in states]

    verdicts: tuple[tuple[GateVerdict, list[str], str], ...] = (
        ("regressed", named("regressed", "vanished"), "regressed or vanished"),
        ("invalid", named("invalid"), "cannot be compared"),
        ("undecided", named("undecided"), "may have regressed"),
    )
    if problem:
        nothing = tuple(replace(one, state="invalid", reason="") for one in findings)
        return GateResult(verdict="invalid", reason=problem, findings=nothing)
    for verdict, names, what in verdicts:
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            return GateResult(verdict=verdict, reason=f"{names[0]}{more} {what}", findings=tuple(findings))
    return GateResult(verdict="passed", reason="no benchmark regressed", findings=tuple(findings))
