"""The figures of a tree alone, in real processes, and the comparison with a file."""

from __future__ import annotations

import pytest

from harness.errors import InputError, InvalidError
from harness.gate import figures as module
from harness.gate.baseline_file import Figures
from harness.gate.figures import FigureQuestion, gate_with_file, measure_figures
from tests.gate.fake_suite import A, B, Project, states


def measured(project: Project, rounds: int = 6) -> Figures:
    question = FigureQuestion(suite=project.suite, tree=project.version("tree"), rounds=rounds)
    return measure_figures(question, workspace=project.workspace, device="cpu")


def test_every_process_gives_a_figure(real_project: Project) -> None:
    real_project.put("tree", {A: 0.01, B: 2}, scatter=False, extra_info={B: {"margin": 0.3}})
    figures = measured(real_project, rounds=6)
    assert figures.benchmarks == {A: (0.01,) * 12, B: (2.0,) * 12}
    assert figures.control == (0.01,) * 12
    assert figures.margins == {B: 0.3}
    assert figures.code.keys() == {A, B}


@pytest.mark.parametrize(
    ("seconds", "others", "message"),
    [
        ({}, {}, "tree has no benchmarks"),
        ({A: None}, {}, f"{A} cannot be compared: it has no median"),
        ({A: 0.01}, {"exit": 1}, "the benchmarks of tree ended with exit code 1"),
    ],
)
def test_a_tree_without_figures_is_invalid(
    project: Project, seconds: dict[str, float], others: dict[str, int], message: str
) -> None:
    project.put("tree", seconds, **others)
    with pytest.raises(InvalidError, match=message.replace("[", r"\[")):
        measured(project)


def test_a_trial_that_fails_is_invalid(real_project: Project) -> None:
    real_project.put("tree", {A: 0.01}, exit=1, measured_only=True)
    with pytest.raises(InvalidError, match="baseline"):
        measured(real_project)


def test_rounds_that_can_show_nothing_are_refused(project: Project) -> None:
    with pytest.raises(InputError, match=r"5 rounds cannot show a regression.*at least 6"):
        measured(project, rounds=5)


def test_a_regression_against_a_file_must_hold_twice(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def figures(ratio: float, machine: str = "m") -> Figures:
        times = tuple(1 + 0.001 * number for number in range(10))
        return Figures(
            machine=machine,
            control=times,
            benchmarks={A: tuple(ratio * one for one in times), B: times},
            code={A: "1", B: "1"},
        )

    question = FigureQuestion(suite=project.suite, tree=project.version("tree"))
    asked = []

    def compared(first: Figures, second: Figures | None) -> tuple[str, dict[str, str]]:
        def again(*arguments: object, **_: object) -> Figures:
            asked.append(arguments)
            assert second is not None
            return second

        monkeypatch.setattr(module, "measure_figures", again)
        result = gate_with_file(
            figures(1.0), first, question, workspace=project.workspace, device="cpu", listener=None
        )
        return result.verdict, states(result)

    assert compared(figures(1.0), None) == ("passed", {A: "within", B: "within"})
    assert compared(figures(1.0, machine="n"), None)[0] == "invalid"
    assert asked == []
    assert compared(figures(1.1), figures(1.1)) == ("regressed", {A: "regressed", B: "within"})
    assert compared(figures(1.1), figures(1.0)) == ("undecided", {A: "undecided", B: "within"})
    assert compared(figures(1.1), figures(1.1, machine="n"))[0] == "invalid"
    assert len(asked) == 3
