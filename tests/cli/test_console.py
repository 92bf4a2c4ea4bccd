"""What commands print: plain lines in a pipe, only JSON with --json, and no notes with --quiet."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.app import app
from tests.end_to_end.workplace import COMMAND, Workplace

TABLES = (("plan", "tiny", "--rows"), ("list",), ("data", "list"), ("data", "fetch", "python-docs"))


@pytest.fixture(autouse=True)
def here(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.chdir(workplace.folder)
    monkeypatch.setenv("HARNESS_CACHE", str(workplace.cache))
    for name in ("HARNESS_STORE", "HARNESS_RESULTS", "HARNESS_REPORTS"):
        monkeypatch.delenv(name, raising=False)
    return workplace


@pytest.mark.parametrize("command", [*TABLES, ("schema",)])
def test_json_is_valid_and_nothing_else_is_printed(command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*command, *([] if command == ("schema",) else ["--json"])])
    assert done.exit_code == 0
    assert json.loads(done.stdout)
    assert done.stderr == ""


@pytest.mark.parametrize("command", TABLES)
def test_a_pipe_gets_a_header_and_lines_with_equally_many_fields(command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, list(command))
    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    assert len(lines) > 1
    assert {line.count("\t") for line in lines} == {lines[0].count("\t")}
    assert lines[0].count("\t") > 0
    assert "\x1b" not in done.stdout + done.stderr


def test_quiet_prints_the_table_without_notes() -> None:
    loud, quiet = (CliRunner().invoke(app, ["plan", "tiny", "--rows", *extra]) for extra in ([], ["-q"]))
    assert loud.stdout == quiet.stdout
    assert "smallest change of decode_tokens_per_second that is detected" in loud.stderr
    assert quiet.stderr == ""


def test_the_plan_has_every_trial_in_order() -> None:
    from harness.study.load import load_study
    from harness.study.planning.plan import plan

    answer = json.loads(CliRunner().invoke(app, ["plan", "tiny", "--scale", "smoke", "--json"]).stdout)
    expected = plan(load_study(Path("studies/tiny.yaml"), "smoke")[0]).trials
    assert [row["id"] for row in answer["trials"]] == [spec.id for spec in expected]
    assert [row["position"] for row in answer["trials"]] == list(range(len(expected)))


def test_list_shows_a_study_that_cannot_be_read_beside_the_others(here: Workplace) -> None:
    broken = {
        "broken": b"study: broken\nstudy: twice\n",
        "digits": b"study: 0x" + b"f" * 100_000,
        "equals": b"study: equals\nquestion: =\n",
        "latin": b"study: caf\xe9\n",
        "null": b"\0",
    }
    for name, content in broken.items():
        (here.folder / "studies" / f"{name}.yaml").write_bytes(content)
    (here.folder / "studies" / "folder.yaml").mkdir()
    os.mkfifo(here.folder / "studies" / "pipe.yaml")
    rows = {row["study"]: row for row in json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)}
    assert rows["tiny"]["scales"] == ["cpu", "smoke", "least"]
    assert rows["tiny"]["problem"] is None
    assert rows["tiny"]["newest_run"] is None
    assert "broken.yaml:2:1" in rows["broken"]["problem"]
    assert rows.keys() > {*broken, "folder", "pipe"}
    assert all(f"{name}.yaml" in rows[name]["problem"] for name in (*broken, "folder", "pipe"))


def test_verbose_shows_where_an_error_was_raised() -> None:
    plain, verbose = (CliRunner().invoke(app, ["plan", "none", *extra]) for extra in ([], ["-v"]))
    assert "Traceback" not in plain.stderr
    assert "find_study" in verbose.stderr
    assert verbose.stderr.endswith(plain.stderr)


def test_a_fault_of_the_harness_is_one_line_and_exit_70(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("harness.cli.planning.show_plan", broken)
    done = CliRunner().invoke(app, ["plan", "tiny"])
    assert done.exit_code == 70
    assert (
        done.stderr == "error: ZeroDivisionError: by zero; this is a fault of the harness (-v shows where)\n"
    )


def test_a_pipe_that_is_closed_early_is_no_error(here: Workplace) -> None:
    """The JSON of the plan is longer than the buffer of a pipe, and its reader is gone before it is
    written.
    """
    with here.start("plan", "tiny", "--json") as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, "")


def test_a_pipe_into_head_prints_no_error(here: Workplace) -> None:
    script = f"set -o pipefail; {COMMAND} plan tiny --rows | head -1"
    done = subprocess.run(
        ["bash", "-c", script],
        check=False,
        cwd=here.folder,
        env=here.environment(),
        capture_output=True,
        text=True,
    )
    assert done.stdout == "position\tpurpose\tround\ttrial\tid\n"
    assert "roken pipe" not in done.stderr
    assert "Traceback" not in done.stderr
