"""`harness gate` with real benchmarks: an interruption, and what it finds on this machine. The noise of the
machine may make a gate `invalid`, and never turn its answer round.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.experiment.workspace import Workspace
from harness.gate.gate import GateQuestion, gate
from harness.gate.plant import VARIABLE, plant_text
from harness.gate.self_test import FILE, synthetic_suite
from harness.gate.suite import Suite
from tests.end_to_end.workplace import COMMAND, until
from tests.gate.fake_suite import A, Project, commit

PLANTED = 0.1
GATES, DETECTED = 10, 8
OF_ITSELF = 20
WORKS = ("loop", "dictionary", "copies", "sorting")


@pytest.mark.slow
def test_a_gate_that_is_interrupted_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project.make(tmp_path, monkeypatch)
    for version in ("baseline", "tree"):
        project.put(version, {A: 0.01})
    arguments = ["--benchmarks", "bench", "--python", str(project.python), "--against", "../baseline"]

    def started() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(COMMAND), "gate", *arguments, "--json", "--quiet"],
            cwd=project.folder / "tree",
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )

    with started() as process:
        until(lambda: project.processes >= 6, process)
        os.killpg(process.pid, 2)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert "run the same command again to continue" in err
    before = project.processes
    with started() as process:
        out, err = process.communicate()
    answer = json.loads(out)
    assert process.returncode == answer["exit_code"] != 1, err
    assert project.processes - before < 20 * 2 * 3, "at most three times all rounds, if the machine is noisy"
    assert len(list((project.folder / "tree/results/gate").glob("gate_*.json"))) == 1


@pytest.mark.slow
def test_a_benchmark_that_takes_twice_as_long_never_passes(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "work.py").write_text("def work(): return sum(range(100_000))\n")
    (tmp_path / "bench/test_work.py").write_text(
        "from work import work\n"
        "def test_work(benchmark): benchmark.pedantic(work, rounds=5, warmup_rounds=1)\n"
    )
    commit(tmp_path)
    (tmp_path / "work.py").write_text("def work(): return sum(range(200_000))\n")
    command = [str(COMMAND), "gate", "--benchmarks", "bench", "--rounds", "6", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    (one,) = answer["findings"]
    assert (done.returncode, one["state"]) in ((1, "regressed"), (5, "invalid")), done.stderr
    assert one["name"] == "bench/test_work.py::test_work"
    assert one["ratio"] > 1.5


def synthetic(folder: Path, planted: str) -> Iterator[tuple[str, set[str]]]:
    """Gates of the synthetic benchmarks against themselves, without end, with a slow-down in one of them:
    the verdict, and what was red.
    """
    workspace = Workspace(results=folder / "results", reports=folder / "reports")
    suite, tree = synthetic_suite(folder / "synthetic")
    suite = Suite(paths=suite.paths, python=sys.executable, options=("-p", "harness.gate.plant"))
    environments = tuple(
        {VARIABLE: plant_text(planted, share)} for share in (0.0, PLANTED if planted else 0.0)
    )
    while True:
        question = GateQuestion(
            suite=suite,
            versions=(tree, tree),
            environments=(environments[0], environments[1]),
            fresh=True,
        )
        result = gate(question, workspace=workspace, device="cpu")
        yield result.verdict, {one.name for one in result.findings if one.state == "regressed"}


def valid_gates(folder: Path, planted: list[str]) -> list[set[str]]:
    """What was red in one gate for each planted benchmark. A gate that noise made invalid is repeated once;
    the test is skipped, with the figures, if that does not help.
    """
    red: list[set[str]] = []
    invalid = 0
    for number, name in enumerate(planted):
        for attempt, (verdict, names) in enumerate(synthetic(folder / str(number), name)):
            if verdict != "invalid":
                red.append(names)
                break
            invalid += 1
            if attempt:
                valid = f"{sum(bool(one) for one in red)} of {len(red)} gates were red"
                pytest.skip(f"the machine is too noisy: {invalid} invalid gates; {valid}")
    return red


@pytest.mark.slow
def test_planted_slow_downs_of_ten_per_cent_are_detected(tmp_path: Path) -> None:
    names = [f"{FILE}::test_work[{WORKS[number % len(WORKS)]}]" for number in range(GATES)]
    red = valid_gates(tmp_path, names)
    detected = sum(name in one for name, one in zip(names, red, strict=True))
    false = sum(bool(one - {name}) for name, one in zip(names, red, strict=True))
    assert (detected >= DETECTED, false) == (True, 0), f"{detected} of {GATES} detected, {false} false"


@pytest.mark.slow
def test_a_version_against_itself_is_never_red(tmp_path: Path) -> None:
    red = valid_gates(tmp_path, [""] * OF_ITSELF)
    assert [one for one in red if one] == []
