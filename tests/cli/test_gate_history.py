"""`harness gate --history`: the times of accepted revisions as lines and as JSON, and where they changed."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from harness.cli.app import app
from harness.gate import change_points
from harness.gate.history import HISTORY_FILE, record
from tests.gate.histories import BENCHMARK, accepted, accepted_times, noisy


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "results/gate").mkdir(parents=True)
    return tmp_path / "results/gate" / HISTORY_FILE


def history(file: Path, *arguments: str) -> Result:
    results = str(file.parents[1])
    return CliRunner().invoke(app, ["gate", "--history", "--results", results, *arguments])


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_points, "find_spec", lambda _: None)


@pytest.mark.usefixtures("without_extra")
def test_the_times_are_printed_without_the_extra_and_a_note_names_it(file: Path) -> None:
    record(file, [accepted(1, 0.0107), accepted(0, 0.01), accepted(0, 12, machine="m2")])
    done = history(file)
    assert done.exit_code == 0
    assert [line.split("\t") for line in done.stdout.splitlines()] == [
        ["benchmark", "machine", "committed", "revision", "time", "change"],
        [BENCHMARK, "m1", "2026-01-01 00:00+00:00", "000000000000", "10 ms", ""],
        [BENCHMARK, "m1", "2026-01-02 00:00+00:00", "000000000001", "10.7 ms", ""],
        [BENCHMARK, "m2", "2026-01-01 00:00+00:00", "000000000000", "12 s", ""],
    ]
    assert "transformer-harness[history]" in done.stderr
    document = json.loads(history(file, "--json").stdout)
    assert document["change_points"] is False
    assert [
        (one["machine"], [figure["seconds"] for figure in one["figures"]]) for one in document["benchmarks"]
    ] == [("m1", [0.01, 0.0107]), ("m2", [12])]


@pytest.mark.skipif(find_spec("otava") is None, reason="the extra `history` is not installed")
def test_a_change_is_printed_beside_the_revision_with_which_it_begins(file: Path) -> None:
    record(file, accepted_times(noisy((12, 0.01), (8, 0.0107))))
    changed = [line.split("\t") for line in history(file).stdout.splitlines() if "since" in line]
    assert [(row[3], row[5]) for row in changed] == [
        ("00000000000c", "slower by 6.5 % since 00000000000c (2026-01-13)")
    ]
    ((change,),) = [one["changes"] for one in json.loads(history(file, "--json").stdout)["benchmarks"]]
    assert change["ratio"] == pytest.approx(1.065, abs=0.001)


def test_no_history_is_no_error(file: Path) -> None:
    done = history(file)
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 1)
    assert "no gate has accepted a revision yet" in done.stderr
    assert json.loads(history(file, "--json").stdout)["benchmarks"] == []


def test_a_damaged_history_is_refused_in_one_line(file: Path) -> None:
    file.write_text("{}\n")
    done = history(file)
    assert (done.exit_code, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert f"{file}:1: this line is no accepted revision" in line
