"""The gate: which benchmarks of a working tree are slower than those of a baseline revision."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.config import digest
from harness.errors import InputError, InvalidError
from harness.experiment.experiment import Experiment
from harness.experiment.judging import pairs_within
from harness.experiment.loading import load
from harness.experiment.this_machine import this_machine
from harness.experiment.workspace import Workspace
from harness.gate.benchmarks import Benchmark
from harness.gate.change_points import change_warnings
from harness.gate.decide import BenchmarkFinding, confirmed, decide, not_compared, rounds_needed
from harness.gate.files import write_file
from harness.gate.history import HISTORY_FILE, AcceptedRevision, RecordedTime, record
from harness.gate.measured_suite import measured_suite
from harness.gate.result import GateResult, result_of
from harness.gate.suite import ARMS, CONTROL, ListedSuite, Suite, gate_study, list_suite, stored
from harness.machine.code_digest import code_digests
from harness.programs.source_tree import sources_in
from harness.programs.versions import Version
from harness.run.identity import environment_digest
from harness.run.listener import Listener
from harness.study.written import study_text
from harness.wording import count

GATE_FOLDER = "gate"
"""Where the studies, the builds and the results of gates are, in the folder of results."""
ROUNDS, MOST_ROUNDS = 20, 50
"""Rounds by default (docs/gate.md says why so many), and the most that a budget is spent on."""
Seconds = Mapping[str, Mapping[str, float]]
"""The median of each benchmark in each version."""


@dataclass(frozen=True, kw_only=True)
class GateQuestion:
    """Which suite is run in which two versions, the baseline and the tree, with which variables in each, and
    how often: so many rounds, or as many as fit into a budget of seconds. A `fresh` question is measured even
    if its answer is known.
    """

    suite: Suite
    versions: tuple[Version, Version]
    rounds: int | None = None
    budget: float | None = None
    environments: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})
    fresh: bool = False


def gate(
    question: GateQuestion, *, workspace: Workspace, device: str, listener: Listener | None = None
) -> GateResult:
    """Run the suite of both versions (the baseline and the tree) in alternating new processes, and decide.

    What regressed is measured a second time, and is red only if it regressed both times. The same two
    versions are not measured again, unless their result was invalid: it stands. If the suite of a version
    fails, the result is invalid.
    """
    workspace.check_writable()
    sources = sources_in(workspace.results)
    baseline, tree = (stored(one, sources) for one in question.versions)
    question = replace(question, versions=(baseline, tree))
    try:
        compared = _compared(list_suite(question.suite, baseline), list_suite(question.suite, tree))
    except InvalidError as error:
        return result_of((), str(error))
    if not compared.common:
        return result_of(compared.others)
    needed = rounds_needed(len(compared.common))
    if question.rounds is not None and question.rounds < needed:
        benchmarks = count(len(compared.common), "benchmark")
        raise InputError(
            f"{count(question.rounds, 'round')} cannot show a regression among {benchmarks}",
            hint=f"use at least {needed}",
        )
    return _Gate(question, compared, workspace=workspace, device=device, listener=listener).answer(needed)


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """The benchmarks of two versions: those that can be compared, with the digests of their code, and what is
    known about the others.
    """

    common: tuple[Benchmark, ...]
    others: tuple[BenchmarkFinding, ...]
    code: Mapping[str, str]


def _compared(baseline: ListedSuite, tree: ListedSuite) -> _Compared:
    others = list(not_compared(baseline.code, tree.code))
    known, common = {one.name for one in others}, []
    for name, one in tree.benchmarks.items():
        problem = one.problem or (baseline.benchmarks[name].problem if name in baseline.benchmarks else "")
        if name not in known and problem:
            others.append(BenchmarkFinding(name=name, state="invalid", reason=problem))
        elif name not in known:
            common.append(one)
    code = {one.name: tree.code[one.name] for one in common}
    return _Compared(common=tuple(common), others=tuple(others), code=code)


class _Gate:
    """A gate whose benchmarks are known. Its file has the answer, or after an interruption the first of two
    measurements.
    """

    def __init__(
        self,
        question: GateQuestion,
        compared: _Compared,
        *,
        workspace: Workspace,
        device: str,
        listener: Listener | None,
    ) -> None:
        self._question, self._compared = question, compared
        self._workspace, self._device, self._listener = workspace, device, listener
        environment, suite = environment_digest(*this_machine(device)), question.suite
        self._machine = digest([environment, suite.python, suite.options])
        asked = [
            [one.content for one in question.versions],
            [one.name for one in compared.common],
            suite.words,
            question.rounds,
            question.budget,
            list(question.environments),
            environment,
            code_digests().measuring,
        ]
        self._folder = workspace.results / GATE_FOLDER
        self._name = f"gate_{digest(asked)[:8]}"
        self._file = self._folder / f"{self._name}.json"

    def answer(self, needed: int) -> GateResult:
        """The answer that is known, or a new one from at least so many rounds."""
        known = _read(self._file)
        before: GateResult | None = known.get("result")
        if before is not None and before.verdict != "invalid" and not self._question.fresh:
            return self._with_history(before, {})
        self._folder.mkdir(parents=True, exist_ok=True)
        fresh = before is not None or self._question.fresh
        if fresh:  # an interruption from now on does not throw away what was measured
            self._file.unlink(missing_ok=True)
        experiment = self._experiment(self._rounds(needed))
        result, seconds = self._decided(experiment, None if fresh else known.get("first"), fresh=fresh)
        shown = self._with_history(result, seconds)
        write_file(self._file, json.dumps({"result": result.plain()}))
        return shown

    def _with_history(self, result: GateResult, seconds: Seconds) -> GateResult:
        """Add these times to the history if the result accepts them, and what the history warns of to the
        result. The history decides nothing, and a version with a planted slow-down has none.
        """
        if any(self._question.environments):
            return result
        code = {CONTROL: "", **self._compared.code}
        try:
            lines = record(self._folder / HISTORY_FILE, [*self._accepted(result, seconds, code)])
            warnings = change_warnings(lines, machine=self._machine, code=code)
        except InputError as error:
            warnings = (f"the history of accepted revisions was not used: {error}",)
        return replace(result, warnings=(*result.warnings, *warnings))

    def _accepted(
        self, result: GateResult, seconds: Seconds, code: Mapping[str, str]
    ) -> Iterator[AcceptedRevision]:
        """The baseline, which somebody accepted earlier, and the tree if it passed and is a revision."""
        for arm, one in zip(ARMS, self._question.versions, strict=True):
            accepted = result.verdict == "passed" or (result.verdict != "invalid" and arm == ARMS[0])
            if accepted and one.revision and one.committed and seconds.get(arm):
                yield AcceptedRevision(
                    revision=one.revision,
                    committed=one.committed,
                    machine=self._machine,
                    benchmarks={
                        name: RecordedTime(seconds=median, code=code[name])
                        for name, median in seconds[arm].items()
                    },
                )

    def _rounds(self, needed: int) -> int:
        question = self._question
        if question.budget is None:
            return question.rounds or max(ROUNDS, needed)
        pilot = self._experiment(None).run(listener=self._listener)
        return min(pairs_within(question.budget, pilot, fewest=needed), question.rounds or MOST_ROUNDS)

    def _experiment(self, rounds: int | None) -> Experiment:
        """The study of so many rounds, or without them a pilot."""
        question = self._question
        path = self._folder / f"{self._name}{'' if rounds else '_pilot'}.yaml"
        document = gate_study(
            path.stem,
            question.suite,
            question.versions,
            self._compared.common,
            rounds,
            environments=question.environments,
        )
        write_file(path, study_text(document))
        return load(path, scale="cpu", device=self._device, workspace=self._workspace, allow_commands=True)

    def _decided(
        self, experiment: Experiment, first: Mapping[str, Any] | None, *, fresh: bool
    ) -> tuple[GateResult, Seconds]:
        common, others = self._compared.common, self._compared.others
        seconds: Seconds = {}
        if first is None:
            experiment.run(fresh=fresh, listener=self._listener)
            measured = measured_suite(experiment, common)
            findings = decide(measured.benchmarks)
            result = result_of((*findings.values(), *others), measured.problem)
            result = replace(result, study=experiment.name, warnings=measured.warnings)
            seconds = measured.seconds
            first = {"run": measured.run, "result": result.plain()}
        result = GateResult.read(first["result"])
        red = [one.name for one in result.findings if one.state == "regressed"]
        if not red:
            return result, seconds
        write_file(self._file, json.dumps({"first": first}))
        with experiment.opened() as (_, runs):
            has_begun = runs[0].id != first["run"]
        experiment.run(fresh=not has_begun, listener=self._listener)
        second = measured_suite(experiment, common)
        again = decide(second.benchmarks, among=red)
        findings = {
            one.name: confirmed(again[one.name]) if one.name in red else one for one in result.findings
        }
        decided = result_of(tuple(findings.values()), second.problem)
        return replace(decided, study=experiment.name, warnings=result.warnings), second.seconds


def _read(file: Path) -> dict[str, Any]:
    """What the file of a gate says. Nothing if it is missing, damaged, or of another version."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        known = dict(document)
        if "result" in known:
            known["result"] = GateResult.read(known["result"])
        if "first" in known:
            GateResult.read(known["first"]["result"])
            str(known["first"]["run"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return known
