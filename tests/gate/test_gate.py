"""Gates of two versions whose figures are chosen: the verdicts, and what is measured again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InputError
from harness.gate import gate as module
from harness.gate.files import write_file
from harness.gate.history import HISTORY_FILE, read_history
from harness.gate.suite import Suite
from tests.gate.fake_suite import ROUNDS, A, B, Project, pairs, states

FEW = 6
"""Rounds that can show a regression of one benchmark."""


def test_a_regression_in_real_processes_is_confirmed_and_known_afterwards(real_project: Project) -> None:
    name = "bench/test_a.py::test_a[{seed}|<b>`a`: *@you*]"
    real_project.put("baseline", {name: 10}, scatter=False)
    real_project.put("tree", {name: 11}, scatter=False)
    result = real_project.gate(rounds=FEW)
    assert (result.verdict, states(result)) == ("regressed", {name: "regressed"})
    (red,) = result.findings
    assert red.rounds == FEW
    assert [red.ratio, red.low] == pytest.approx([1.1, 1.1])
    assert name in result.reason
    measured = real_project.processes
    assert measured >= 4 * FEW, "both versions, twice"
    assert real_project.gate(rounds=FEW) == result
    assert real_project.processes == measured, "asking again measures nothing"


def test_a_suite_that_fails_while_it_is_measured_is_invalid(real_project: Project) -> None:
    real_project.put("baseline", {A: 0.01})
    real_project.put("tree", {A: 0.01}, exit=1, measured_only=True)
    result = real_project.gate(rounds=FEW)
    assert (result.verdict, set(states(result).values())) == ("invalid", {"invalid"})
    assert "tree" in result.reason


@pytest.mark.parametrize(
    ("script", "verdict", "runs"),
    [
        ([{}], "passed", 1),
        ([{A: 0.8}], "passed", 1),
        ([{A: 1.1}, {A: 1.1}], "regressed", 2),
        ([{A: 1.1}, {}], "undecided", 2),
        ([{A: 1.1}, {A: 1.049}], "undecided", 2),
        ([{A: 1.05}], "undecided", 1),
    ],
)
def test_what_regressed_must_regress_twice(
    project: Project, script: list[dict[str, float]], verdict: str, runs: int
) -> None:
    project.script.ratios = script
    result = project.gate()
    assert (result.verdict, project.script.complete) == (verdict, runs)
    assert states(result)[B] == "within"


def test_what_is_noticed_first_in_the_second_measurement_is_not_red(project: Project) -> None:
    project.script.ratios = [{A: 1.1}, {A: 1.1, B: 1.1}]
    assert states(project.gate()) == {A: "regressed", B: "within"}


@pytest.mark.parametrize("interrupted", [0, 1])
def test_an_interrupted_gate_goes_on(project: Project, interrupted: int) -> None:
    """A regression in the first measurement is not forgotten if the second is broken off."""
    project.script.ratios = [{A: 1.1}, {}]
    project.script.interrupted = interrupted
    with pytest.raises(KeyboardInterrupt):
        project.gate()
    result = project.gate()
    assert (result.verdict, project.script.complete) == ("undecided", 2)
    assert result.findings[0].reason == "it regressed in the first measurement only"
    ((_, runs),) = project.script.runs.items()
    assert len(runs) == 2


def test_a_measurement_does_not_confirm_itself(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate ended after the first measurement, and before the second had begun."""
    project.script.ratios = [{A: 1.1}, {}]
    real = write_file

    def ended(file: Any, text: str) -> None:
        real(file, text)
        if file.suffix == ".json":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_file", ended)
        with pytest.raises(KeyboardInterrupt):
            project.gate()
    assert (project.gate().verdict, project.script.complete) == ("undecided", 2)


def test_a_noisy_machine_decides_nothing_and_the_next_call_measures_again(project: Project) -> None:
    project.script.ratios, project.script.problems = [{A: 1.1}], ["the machine is too noisy", ""]
    noisy = project.gate()
    assert (noisy.verdict, noisy.reason) == ("invalid", "the machine is too noisy")
    assert states(noisy) == {A: "invalid", B: "invalid"}
    assert (project.gate().verdict, project.script.complete) == ("regressed", 3)


def test_a_noisy_second_measurement_decides_nothing(project: Project) -> None:
    project.script.ratios, project.script.problems = [{A: 1.1}], ["", "noise"]
    assert project.gate().verdict == "invalid"


def test_an_interrupted_repetition_of_an_invalid_gate_goes_on(project: Project) -> None:
    project.script.problems, project.script.interrupted = ["noise", ""], 1
    project.gate()
    with pytest.raises(KeyboardInterrupt):
        project.gate()
    assert (project.gate().verdict, project.script.complete) == ("passed", 2)
    ((_, runs),) = project.script.runs.items()
    assert len(runs) == 2, "the run that was broken off is not thrown away"


def test_a_benchmark_that_vanished_is_red_and_a_new_one_is_not(project: Project) -> None:
    new = "bench/test_new.py::test_new"
    project.put("tree", {A: 0.01})
    gone = project.gate()
    assert (gone.verdict, states(gone)) == ("regressed", {A: "within", B: "vanished"})
    project.put("tree", {A: 0.01, B: 0.02, new: 0.03})
    added = project.gate()
    assert (added.verdict, states(added)) == ("passed", {A: "within", B: "within", new: "new"})


def test_noise_does_not_hide_what_vanished(project: Project) -> None:
    project.put("tree", {A: 0.01})
    project.script.problems = ["noise"]
    assert states(project.gate()) == {A: "invalid", B: "vanished"}


def test_changed_code_of_a_benchmark_passes_nothing(project: Project) -> None:
    file = project.folder / "tree/bench/test_a.py"
    file.write_text("def test_a(benchmark): return 1\ndef test_b(benchmark): pass  # a comment\n")
    result = project.gate()
    assert (result.verdict, states(result)) == ("undecided", {A: "changed", B: "within"})
    (project.folder / "tree/bench/conftest.py").write_text("SIZE = 2\n")
    result = project.gate()
    assert (result.verdict, states(result)) == ("undecided", {A: "changed", B: "changed"})


@pytest.mark.parametrize("version", ["baseline", "tree"])
@pytest.mark.parametrize("seconds", [float("nan"), None, 0, -0.01])
def test_figures_that_are_no_times_are_invalid(project: Project, version: str, seconds: object) -> None:
    project.put(version, {A: seconds, B: 0.02})
    result = project.gate()
    assert (result.verdict, states(result)) == ("invalid", {A: "invalid", B: "within"})
    assert A in result.reason


def test_a_benchmark_can_state_its_own_margin(project: Project) -> None:
    project.script.ratios = [{A: 1.1}]
    project.put("tree", {A: 0.01, B: 0.02}, extra_info={A: {"margin": 0.2}})
    result = project.gate()
    assert (result.verdict, result.findings[0].margin) == ("passed", 0.2)


@pytest.mark.parametrize("version", ["baseline", "tree"])
def test_a_suite_that_fails_in_a_version_is_invalid(project: Project, version: str) -> None:
    project.put(version, {A: 0.01, B: 0.02}, exit=1)
    result = project.gate()
    assert result.verdict == "invalid"
    assert result.reason == f"the benchmarks of {version} ended with exit code 1: 1 failed"


def test_a_python_without_pytest_is_bad_input(project: Project) -> None:
    project.put("tree", {A: 0.01}, exit=4)
    project.set_python(lacks_pytest=True)
    with pytest.raises(InputError, match="has no pytest-benchmark"):
        project.gate()


def test_nothing_to_measure_is_invalid_and_only_new_benchmarks_pass(project: Project) -> None:
    project.put("baseline", {})
    added = project.gate()
    assert (added.verdict, states(added)) == ("passed", {A: "new", B: "new"})
    assert "nothing to compare" in added.reason
    project.put("tree", {})
    assert project.gate().verdict == "invalid"
    no_folder = project.gate(suite=Suite(paths=("other",), python=str(project.python)))
    assert (no_folder.verdict, project.script.complete) == ("invalid", 0)
    assert "no benchmark" in no_folder.reason


def test_rounds_that_can_show_nothing_are_refused(project: Project) -> None:
    with pytest.raises(InputError, match=r"6 rounds cannot show a regression among 2 benchmarks.*at least 7"):
        project.gate(rounds=6)
    assert project.script.complete == 0


def test_a_budget_says_how_many_rounds(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def pairs_within(budget: float, pilot: Any, *, fewest: int) -> int:
        asked.append((budget, pilot.name.endswith("_pilot"), fewest))
        return 90

    monkeypatch.setattr(module, "pairs_within", pairs_within)
    project.gate(rounds=None, budget=90.0)
    project.gate(rounds=12, budget=90.0)
    assert asked == [(90.0, True, 7), (90.0, True, 7)]
    studies = [path.read_text() for path in (project.folder / "results/gate").glob("gate_*[!pilot].yaml")]
    assert sorted(int(text.partition("rounds: ")[2].split()[0]) for text in studies) == [12, 50]


def test_an_answer_belongs_to_its_machine(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.gate()
    project.gate()
    assert project.script.complete == 1
    monkeypatch.setattr(module, "environment_digest", lambda *_: "another machine")
    project.gate()
    assert project.script.complete == 2


def test_a_fresh_question_is_measured_again(project: Project) -> None:
    project.gate(fresh=True)
    project.gate(fresh=True)
    assert project.script.complete == 2


@pytest.mark.parametrize("text", ["{", "[]", '{"result": {"verdict": 1}}', '{"first": {}}', '{"result": 1}'])
def test_a_damaged_answer_is_made_again_from_what_was_measured(project: Project, text: str) -> None:
    result = project.gate()
    (file,) = (project.folder / "results/gate").glob("gate_*.json")
    file.write_text(text)
    assert project.gate() == result
    assert project.script.complete == 1
    assert json.loads(file.read_text())["result"]["verdict"] == "passed"


COMMITTED = datetime(2026, 3, 1, tzinfo=UTC)


def revisions(project: Project, *, tree: str | None = "new") -> dict[str, Any]:
    """Both versions as revisions, or only the baseline."""
    baseline = replace(project.version("baseline"), revision="old", committed=COMMITTED)
    later = replace(
        project.version("tree"), revision=tree, committed=COMMITTED.replace(day=2) if tree else None
    )
    return {"versions": (baseline, later)}


def history(project: Project) -> Path:
    return project.workspace.results / "gate" / HISTORY_FILE


@pytest.mark.parametrize(
    ("ratios", "problem", "accepted"),
    [
        ([{}], "", ["old", "new"]),
        ([{A: 1.1}], "", ["old"]),
        ([{A: 1.1}, {}], "", ["old"]),
        ([{}], "noise", []),
        ([{A: 1.1}], "noise", []),
    ],
)
def test_the_history_has_the_baseline_and_a_tree_that_passed(
    project: Project, ratios: list[dict[str, float]], problem: str, accepted: list[str]
) -> None:
    project.script.ratios, project.script.problems = ratios, [problem]
    for _ in range(2):
        project.gate(**revisions(project))
        lines = read_history(history(project))
        assert [one.revision for one in lines] == accepted
    assert [{name: time.seconds for name, time in one.benchmarks.items()} for one in lines] == [
        {A: 0.01, B: 0.02}
    ] * len(accepted)


def test_a_tree_with_changes_is_no_revision(project: Project) -> None:
    project.gate(**revisions(project, tree=None))
    assert [(one.revision, one.committed) for one in read_history(history(project))] == [("old", COMMITTED)]


def test_a_planted_slow_down_has_no_history(project: Project) -> None:
    project.gate(**revisions(project), environments=({"PLANT": "0"}, {"PLANT": "1"}), fresh=True)
    assert not history(project).exists()


def test_another_machine_records_the_same_revisions(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.gate(**revisions(project))
    monkeypatch.setattr(module, "environment_digest", lambda *_: "another machine")
    project.gate(**revisions(project))
    lines = read_history(history(project))
    assert [one.revision for one in lines] == ["old", "new"] * 2
    assert len({one.machine for one in lines}) == 2


def test_a_damaged_history_is_a_warning_and_changes_no_answer(project: Project) -> None:
    before = project.gate(**revisions(project))
    history(project).write_text("{")
    after = project.gate(**revisions(project))
    assert replace(after, warnings=()) == before
    assert [f"{history(project)}:1: this line is no accepted revision" in one for one in after.warnings] == [
        True
    ]
    assert history(project).read_text() == "{"


def test_the_history_warns_whenever_it_is_asked_and_decides_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def warned(lines: Any, *, machine: str, code: dict[str, str]) -> tuple[str, ...]:
        asked.append((len(lines), {one.machine for one in lines} == {machine}, set(code) >= {A, B}))
        return ("A is slower",)

    monkeypatch.setattr(module, "change_warnings", warned)
    first, second = (project.gate(**revisions(project)) for _ in range(2))
    assert first == second
    assert (first.verdict, first.warnings) == ("passed", ("A is slower",))
    assert asked == [(2, True, True)] * 2
    (file,) = history(project).parent.glob("gate_*.json")
    assert json.loads(file.read_text())["result"]["warnings"] == []


def test_the_script_is_what_a_measurement_says() -> None:
    assert len(pairs(1.0)) == ROUNDS
