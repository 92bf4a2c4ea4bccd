"""`harness invariants`: what it prints, its JSON, its exit code, and that a planted bug is removed again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from harness.cli.console import CommandOutput
from harness.cli.invariants import show_invariants
from harness.errors import InvalidError
from harness.invariants.base import Check
from harness.invariants.causality import Causality
from harness.invariants.support.kill_matrix import Examined, Kill, Matrix, kill_matrix, plant

ONLY = ("invariants", "--only", "causality", "--only", "loss-closed-form")


@pytest.fixture(scope="module")
def made() -> dict[tuple[str, ...], Matrix]:
    return {}


@pytest.fixture
def made_once(made: dict[tuple[str, ...], Matrix], monkeypatch: pytest.MonkeyPatch) -> None:
    """Bugs are planted once for both ways of printing them."""

    def matrix(names: Sequence[str], *, plant_bugs: bool, done: Callable[[int, int], None]) -> Matrix:
        if tuple(names) not in made:
            made[tuple(names)] = kill_matrix(names, plant_bugs=plant_bugs, done=done)
        return made[tuple(names)]

    monkeypatch.setattr("harness.cli.invariants.kill_matrix", matrix)


@pytest.mark.usefixtures("made_once")
def test_a_line_per_invariant_and_a_line_per_bug() -> None:
    done = CliRunner().invoke(app, [*ONLY, "--mutants"])
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    assert [line[:2] for line in lines[1:3]] == [["causality", "pass"], ["loss-closed-form", "pass"]]
    bugs = {line[0]: line[1] for line in lines[4:]}
    assert set(bugs.values()) == {"killed"}
    assert set(bugs) >= {"causality/causal-flag-lost", "loss-closed-form/ignored-counted"}


@pytest.mark.usefixtures("made_once")
def test_the_kill_matrix_as_json() -> None:
    done = CliRunner().invoke(app, [*ONLY, "--mutants", "--json"])
    answer = json.loads(done.stdout)
    assert (answer["mutants"], answer["killed"], answer["survivors"]) == (7, 7, [])
    assert [row["invariant"] for row in answer["invariants"]] == ["causality", "loss-closed-form"]
    assert all(row["holds"] and row["compared"] for row in answer["invariants"])
    assert answer["kills"][0]["found"] == {
        "any": "learned, materialised: tokens after position 0 changed in float64"
    }


def test_an_unknown_name_is_bad_input() -> None:
    done = CliRunner().invoke(app, ["invariants", "--only", "causalty"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "did you mean 'causality'?" in done.stderr


def test_a_bug_that_no_check_detects_survives() -> None:
    """A bug that does nothing must survive, or else the invariant detects nothing."""

    @contextmanager
    def nothing() -> Iterator[None]:
        yield

    bugs = Causality.planted_bugs
    try:
        Causality.planted_bugs = (type(bugs[0])(name="harmless", summary="does nothing", bug=nothing),)
        kill = plant("causality", "harmless")
    finally:
        Causality.planted_bugs = bugs
    assert (kill.killed, kill.first_failures) == (False, {"any": None})


def broken(**kills: bool) -> Matrix:
    check = Check(
        case="a case",
        precision="float64",
        passed=False,
        deviation=1.0,
        tolerance=1e-10,
        compared=3,
        skipped=0,
    )
    examined = Examined(
        invariant="causality", checks=2, failed=1, compared=6, skipped=0, worst=check, seconds=0.1
    )
    rows = (
        Kill(
            invariant="causality",
            bug=name,
            first_failures={"any": "a case" if killed else None},
            seconds=0.1,
        )
        for name, killed in kills.items()
    )
    return Matrix(examined=(examined,), kills=tuple(rows))


def test_broken_invariants_and_surviving_bugs_are_named() -> None:
    matrix = broken(one=True, other=False)
    assert (matrix.broken, matrix.survivors) == (["causality"], ["causality/other"])


def test_a_failure_ends_in_five(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"causal-flag-lost": False}
    monkeypatch.setattr("harness.cli.invariants.kill_matrix", lambda *_, **__: broken(**names))
    with pytest.raises(
        InvalidError,
        match="1 of 1 invariants fail: causality; 1 of 1 planted bugs were not detected: causality",
    ):
        show_invariants(None, CommandOutput(), mutants=True)
    assert "FAIL (1 of 2 checks)" in (shown := capsys.readouterr().out)
    assert "SURVIVED" in shown
    assert InvalidError.exit_code == 5
