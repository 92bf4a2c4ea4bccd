"""When pairs decide nothing: an arm failed, the machine was not quiet, or the control loop moved."""

from __future__ import annotations

import pytest

from harness.experiment.loading import load
from harness.gate.benchmarks import Benchmark
from harness.gate.decide import Measured
from harness.gate.measured_suite import control_problem, measured_suite, process_medians
from tests.gate.fake_suite import A, B, Project, pairs, states


@pytest.mark.parametrize(("ratio", "says"), [(1.0, ""), (1.04, ""), (1.1, "1.1 ×"), (0.9, "0.9 ×")])
def test_a_control_that_moved_either_way_is_a_problem(ratio: float, says: str) -> None:
    problem = control_problem(Measured(pairs=pairs(ratio)))
    assert bool(problem) is bool(says)
    assert says in problem


@pytest.mark.parametrize("control", [Measured(pairs=()), Measured(pairs=pairs(1.0), problem="an arm failed")])
def test_a_control_without_pairs_is_a_problem(control: Measured) -> None:
    assert "was not measured" in control_problem(control)


def test_what_a_real_run_says(real_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("baseline", "tree"):
        real_project.put(version, {A: 0.01})
    real_project.set_control(monkeypatch, factor=1.2)
    result = real_project.gate(rounds=6)
    assert (result.verdict, states(result)) == ("invalid", {A: "invalid"})
    assert "took 1.2 × (1.2 to 1.2 ×) the time of the baseline" in result.reason
    path = real_project.workspace.results / "gate" / f"{result.study}.yaml"
    experiment = load(path, scale="cpu", device="cpu", workspace=real_project.workspace, allow_commands=True)
    benchmarks = [Benchmark(name=A, median=0.01, margin=0.2, problem="")]
    measured = measured_suite(experiment, benchmarks)
    assert measured.problem == result.reason
    assert measured.benchmarks[A].margin == 0.2
    assert len(measured.benchmarks[A].pairs) == 6
    assert measured.seconds == {
        "baseline": {"control_loop_seconds": 0.01, A: pytest.approx(0.01, rel=0.002)},
        "tree": {"control_loop_seconds": 0.012, A: pytest.approx(0.01, rel=0.002)},
    }
    noise = "5 of 6 rounds were disturbed"
    monkeypatch.setattr("harness.gate.measured_suite.why_voids_decide_nothing", lambda *_: noise)
    assert measured_suite(experiment, benchmarks).problem == f"the machine is too noisy: {noise}"


def test_times_that_follow_the_reference_loop_are_adjusted(real_project: Project) -> None:
    """One benchmark is as slow as the loop at every moment, the other one never changes."""
    for version in ("baseline", "tree"):
        real_project.put(version, {A: 0.01, B: 0.02}, swings=[A], scatter=False)
    result = real_project.gate(rounds=7)
    assert states(result) == {A: "within", B: "within"}
    for one in result.findings:
        assert [one.low, one.high] == pytest.approx([1.0, 1.0])


def test_times_are_not_adjusted_by_a_loop_that_a_version_slows_down(real_project: Project) -> None:
    """Whatever slows both down, such as a thread that the version leaves running, is a regression."""
    real_project.put("baseline", {A: 0.01}, reference=0.001)
    real_project.put("tree", {A: 0.012}, reference=0.0012)
    assert states(real_project.gate(rounds=6)) == {A: "regressed"}


def test_rounds_that_were_disturbed_do_not_count_also_where_others_replaced_them(
    real_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of eleven rounds are few enough to be left out, and would be too many of nine."""
    trials: list[None] = []

    def disturbance(*_: object) -> str:
        trials.append(None)
        return "other programs kept 2.0 of 2 cores busy" if len(trials) in (3, 8) else ""

    monkeypatch.setattr("harness.run.attempts.disturbance", disturbance)
    for version in ("baseline", "tree"):
        real_project.put(version, {A: 0.01})
    result = real_project.gate(rounds=9)
    (one,) = result.findings
    assert (len(trials), one.rounds, one.state) == (22, 9, "within")
    path = real_project.workspace.results / "gate" / f"{result.study}.yaml"
    experiment = load(path, scale="cpu", device="cpu", workspace=real_project.workspace, allow_commands=True)
    assert len(process_medians(experiment)["trial"].unique()) == 18
