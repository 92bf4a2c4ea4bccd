"""Whether the gate finds what it must find, and nothing else, on this machine: a slow-down of twice the
margin is planted in each benchmark in turn, and a version is compared with itself.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from harness.experiment.workspace import Workspace
from harness.gate import synthetic_benchmarks
from harness.gate.decide import MARGIN
from harness.gate.gate import GateQuestion, GateResult, gate
from harness.gate.plant import VARIABLE
from harness.gate.suite import Suite, list_suite
from harness.programs.source_tree import sources_in
from harness.programs.versions import Version
from harness.run.driver import Listener

TIMES_THE_MARGIN = 2.0
FILE = "test_synthetic.py"


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """`detected` of the `planted` benchmarks were red, and so were `false` benchmarks without a plant, in all
    `gates` together. `invalid` counts the gates that could not decide.
    """

    planted: int
    detected: int
    false: int
    gates: int
    invalid: int
    results: tuple[GateResult, ...]


def self_test(
    suite: Suite | None,
    tree: Version,
    *,
    workspace: Workspace,
    device: str,
    rounds: int | None = None,
    listener: Listener | None = None,
) -> SelfTest:
    """Gate a version against itself: once without a plant, and once for each benchmark with one. Without a
    suite, the benchmarks are short loops of this package.
    """
    if suite is None:
        suite, tree = synthetic_suite(workspace.results / "gate" / "synthetic")
    planting = replace(suite, options=(*suite.options, "-p", "harness.gate.plant"))
    names = sorted(list_suite(suite, tree, sources_in(workspace.results)).benchmarks)
    detected = false = invalid = 0
    results = []
    for name in ("", *names):
        plant = f"{name}::{TIMES_THE_MARGIN * MARGIN}" if name else ""
        question = GateQuestion(
            suite=planting,
            versions=(tree, tree),
            rounds=rounds,
            environments=({VARIABLE: ""}, {VARIABLE: plant}),
        )
        result = gate(question, workspace=workspace, device=device, listener=listener)
        results.append(result)
        red = {one.name for one in result.findings if one.state == "regressed"}
        invalid += result.verdict == "invalid"
        detected += name in red
        false += len(red - {name})
    return SelfTest(
        planted=len(names),
        detected=detected,
        false=false,
        gates=len(results),
        invalid=invalid,
        results=tuple(results),
    )


def synthetic_suite(folder: Path) -> tuple[Suite, Version]:
    """Short benchmarks in a folder of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(synthetic_benchmarks.__file__, folder / FILE)
    named = "synthetic benchmarks"
    return Suite(paths=(FILE,)), Version(named=named, folder=folder.resolve(), revision=None, built=True)
