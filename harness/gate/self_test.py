"""Whether the gate finds what it must find, and nothing else, on this machine: a slow-down of twice the
margin is planted in each benchmark in turn, and a version is compared with itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.errors import InvalidError
from harness.experiment.workspace import Workspace
from harness.gate import synthetic_benchmarks
from harness.gate.decide import MARGIN
from harness.gate.gate import GATE_FOLDER, GateQuestion, gate
from harness.gate.plant import VARIABLE, plant_text
from harness.gate.result import GateResult
from harness.gate.suite import Suite, list_suite, stored
from harness.programs.source_tree import sources_in
from harness.programs.versions import Version
from harness.run.listener import Listener

TIMES_THE_MARGIN = 2.0
FILE = "test_synthetic.py"


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """`detected` of the `planted` benchmarks were red, and so were `false` benchmarks without a plant, in all
    `gates` together. `invalid` counts the gates that could not decide. `results` are those of all gates, by
    the benchmark with the plant, which is empty for the gate without one.
    """

    planted: int
    detected: int
    false: int
    gates: int
    invalid: int
    results: Mapping[str, GateResult]


def self_test(
    suite: Suite | None,
    tree: Version | None,
    *,
    workspace: Workspace,
    device: str,
    rounds: int | None = None,
    listener: Listener | None = None,
) -> SelfTest:
    """Gate a version against itself: once without a plant, and once for each benchmark with a slow-down of
    twice its margin. Without a suite, the benchmarks are short loops of this package. Everything is measured
    anew.

    Raises InvalidError if the suite fails or has no benchmarks.
    """
    if suite is None or tree is None:
        suite, tree = synthetic_suite(workspace.results / GATE_FOLDER / "synthetic")
    suite = replace(suite, options=(*suite.options, "-p", "harness.gate.plant"))
    tree = stored(tree, sources_in(workspace.results))
    listed = list_suite(suite, tree).benchmarks
    if not listed:
        raise InvalidError(f"{tree.named} has no benchmarks", hint="say where they are with --benchmarks")
    detected = false = invalid = 0
    results: dict[str, GateResult] = {}
    for name in ("", *sorted(listed)):
        margin = (listed[name].margin if name else None) or MARGIN
        shares = (0.0, TIMES_THE_MARGIN * margin if name else 0.0)
        baseline, slower = ({VARIABLE: plant_text(name, share)} for share in shares)
        question = GateQuestion(
            suite=suite, versions=(tree, tree), rounds=rounds, environments=(baseline, slower), fresh=True
        )
        result = gate(question, workspace=workspace, device=device, listener=listener)
        results[name] = result
        red = {one.name for one in result.findings if one.state == "regressed"}
        invalid += result.verdict == "invalid"
        detected += name in red
        false += len(red - {name})
    return SelfTest(
        planted=len(listed),
        detected=detected,
        false=false,
        gates=len(results),
        invalid=invalid,
        results=results,
    )


def synthetic_suite(folder: Path) -> tuple[Suite, Version]:
    """Short benchmarks in a folder of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(synthetic_benchmarks.__file__, folder / FILE)
    named = "synthetic benchmarks"
    return Suite(paths=(FILE,)), Version(named=named, folder=folder.resolve(), revision=None, built=True)
