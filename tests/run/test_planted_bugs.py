"""Every planted bug that concerns a compared arm: the command says so, and claims no speed-up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.invariants.registry import INVARIANTS
from tests.run.in_process import InProcess
from tests.run.workplace import RUN, Workplace

MUTANTS = [
    pytest.param(f"{invariant.name}/{mutant.name}", mutant.levels, id=f"{invariant.name}/{mutant.name}")
    for invariant in INVARIANTS.values()
    for mutant in invariant.mutants
    if {"none", "dynamic"} & set(mutant.levels)
]


@pytest.fixture
def here(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """The command in this process, its trials too: thirteen mutants would be thirteen fork servers a round."""
    monkeypatch.chdir(workplace.folder)
    monkeypatch.setenv("HARNESS_CACHE", str(workplace.cache))
    monkeypatch.setattr("harness.run.backends.local.LocalBackend", InProcess)
    monkeypatch.setattr("harness.run.lease.tempfile.gettempdir", lambda: str(workplace.folder / "tmp"))
    monkeypatch.setattr("harness.report.build.write_report", lambda _, path: path.touch())
    return workplace


@pytest.mark.parametrize(("plant", "levels"), MUTANTS)
def test_a_planted_bug_makes_its_arms_invalid(here: Workplace, plant: str, levels: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*RUN, "--json", "--plant", plant])
    answer = json.loads(done.stdout)
    verdicts = {claim["id"]: claim["verdict"] for claim in answer["claims"]}
    invariant = plant.partition("/")[0]
    broken = {f"cache={level}" for level in ("none", "dynamic") if level in levels}
    assert done.exit_code == 1
    for arm in broken:
        assert answer["invalid"][arm].startswith(f"invariant {invariant} is broken: ")
    assert verdicts["faster"] == "invalid"
    assert "better" not in answer["answer"]
    assert Path(answer["report"]).name == "tiny.smoke.planted.html"
    assert done.stderr.startswith("error: ")
    assert f"invariant {invariant} is broken" in done.stderr
    assert here.runs()[0].plant == plant
