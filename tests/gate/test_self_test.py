"""The gate on itself: what is planted, and how its results are counted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.errors import InvalidError
from harness.experiment.workspace import Workspace
from harness.gate import self_test as module
from harness.gate.decide import BenchmarkFinding, BenchmarkState
from harness.gate.gate import GateQuestion
from harness.gate.plant import VARIABLE, plant_text
from harness.gate.result import GateResult, result_of
from harness.gate.self_test import FILE, SelfTest, self_test, synthetic_suite
from harness.gate.suite import list_suite
from tests.gate.fake_suite import A, B, Project


def asked_self_test(
    project: Project, monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, GateResult]
) -> tuple[SelfTest, list[GateQuestion]]:
    """The self-test of a project, the questions that it asked, with these answers by the planted name."""
    questions: list[GateQuestion] = []

    def gate(question: GateQuestion, **_: object) -> GateResult:
        questions.append(question)
        name = question.environments[1][VARIABLE].rpartition("::")[0]
        return answers[name]

    monkeypatch.setattr(module, "gate", gate)
    done = self_test(project.suite, project.version("tree"), workspace=project.workspace, device="cpu")
    return done, questions


def answer(**states: BenchmarkState) -> GateResult:
    names = {"a": A, "b": B}
    return result_of([BenchmarkFinding(name=names[key], state=state) for key, state in states.items()])


def test_twice_the_margin_is_planted_in_each_benchmark_in_turn(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.put("tree", {A: 0.01, B: 0.02}, extra_info={B: {"margin": 0.2}})
    answers = {name: answer(a="within", b="within") for name in ("", A, B)}
    _, questions = asked_self_test(project, monkeypatch, answers)
    planted = [[one[VARIABLE] for one in question.environments] for question in questions]
    assert planted == [
        [plant_text("", 0.0), plant_text("", 0.0)],
        [plant_text(A, 0.0), plant_text(A, 0.1)],
        [plant_text(B, 0.0), plant_text(B, 0.4)],
    ]
    for question in questions:
        assert question.fresh
        assert question.versions[0] == question.versions[1]
        assert question.suite.options[-2:] == ("-p", "harness.gate.plant")


def test_what_was_detected_and_what_was_false(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "": answer(a="within", b="regressed"),
        A: answer(a="regressed", b="regressed"),
        B: answer(a="undecided", b="invalid"),
    }
    done, _ = asked_self_test(project, monkeypatch, answers)
    assert (done.planted, done.detected, done.false, done.gates, done.invalid) == (2, 1, 2, 3, 1)
    assert done.results == answers


def test_a_tree_without_benchmarks_cannot_be_tested(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.put("tree", {})
    with pytest.raises(InvalidError, match="tree has no benchmarks"):
        asked_self_test(project, monkeypatch, {})


def test_the_synthetic_suite_runs(tmp_path: Path) -> None:
    suite, tree = synthetic_suite(Workspace(results=tmp_path).results / "synthetic")
    listed = list_suite(suite, tree)
    assert len(listed.benchmarks) == 4
    assert all(name.startswith(FILE) and one.problem == "" for name, one in listed.benchmarks.items())
