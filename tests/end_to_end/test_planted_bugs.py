"""Every planted bug that concerns a compared arm: the command says so, and claims no speed-up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.invariants.registry import INVARIANTS
from tests.end_to_end.workplace import LEAST, Workplace

# Those of the study that is run here.
DECLARED = ("cache-parity", "cache-bytes")
MUTANTS = [
    pytest.param(f"{invariant.name}/{bug.name}", bug.levels, id=f"{invariant.name}/{bug.name}")
    for invariant in (INVARIANTS[name] for name in DECLARED)
    for bug in invariant.planted_bugs
    if {"none", "dynamic"} & set(bug.levels)
]


@pytest.mark.parametrize(("plant", "levels"), MUTANTS)
def test_a_planted_bug_makes_its_arms_invalid(
    in_process: Workplace, plant: str, levels: tuple[str, ...]
) -> None:
    done = CliRunner().invoke(app, [*LEAST, "--json", "--plant", plant])
    answer = json.loads(done.stdout)
    verdicts = {claim["id"]: claim["verdict"] for claim in answer["claims"]}
    invariant = plant.partition("/")[0]
    broken = {f"cache={level}" for level in ("none", "dynamic") if level in levels}
    assert done.exit_code == 5
    for arm in broken:
        assert answer["invalid"][arm].startswith(f"invariant {invariant} is broken: ")
    assert verdicts["fast"] == "invalid"
    assert "better" not in answer["answer"]
    assert Path(answer["report"]).name == f"tiny.least.planted-{plant.replace('/', '-')}.html"
    assert answer["plant"] == plant
    assert done.stderr.startswith("error: ")
    assert f"invariant {invariant} is broken" in done.stderr
    assert in_process.runs()[0].plant == plant
