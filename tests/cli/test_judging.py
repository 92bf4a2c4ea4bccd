"""The options of `harness judge`, its exit codes, and that no fault looks like an answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from harness.cli import judging
from harness.cli.app import app
from harness.cli.judging import CODES, read_controls, read_place
from harness.cli.streams import ReaderGone
from harness.errors import InputError
from harness.exit_codes import ExitCode
from harness.experiment.judging import Word


def test_every_verdict_has_an_exit_code_and_only_better_is_success() -> None:
    assert set(CODES) == set(get_args(Word))
    assert [word for word, code in CODES.items() if code == 0] == ["better"]
    assert {word for word, code in CODES.items() if code == ExitCode.NO} == {
        "equivalent",
        "worse",
        "not better",
    }


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (None, None),
        ("pattern:loss: ([0-9.]+)", {"kind": "pattern", "pattern": "loss: ([0-9.]+)"}),
        ("json:out.json:a.0:b", {"kind": "json", "file": "out.json", "path": "a.0:b"}),
        ("csv:log.csv:loss", {"kind": "csv", "file": "log.csv", "column": "loss"}),
        (
            "pytest-benchmark:b.json:test_x",
            {"kind": "pytest-benchmark", "file": "b.json", "benchmark": "test_x"},
        ),
        ("tensorboard:runs:loss/val", {"kind": "tensorboard", "folder": "runs", "tag": "loss/val"}),
    ],
)
def test_where_a_program_writes_its_metric(written: str | None, expected: dict[str, str] | None) -> None:
    assert read_place(written) == expected


@pytest.mark.parametrize("written", ["", "xml:a:b", "csv", "csv:log.csv", "csv::loss", "json:a:", "pattern:"])
def test_other_forms_are_refused(written: str) -> None:
    with pytest.raises(InputError, match=r"has another form; use one of pattern:PATTERN, json:FILE:PATH"):
        read_place(written)


def test_controls() -> None:
    assert read_controls(["a=x --y=z", "b_2=w"]) == {"a": "x --y=z", "b_2": "w"}
    for wrong in ("a", "=x", "A=x", "a-b=x", "é=x", "2=x", "a" * 21 + "=x"):
        with pytest.raises(InputError, match="is not NAME=COMMAND"):
            read_controls([wrong])
    with pytest.raises(InputError, match="--control a is given twice"):
        read_controls(["a=x", "a=y"])


@pytest.mark.parametrize(("word", "code"), CODES.items())
def test_an_answer_that_nobody_reads_is_still_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, word: Word, code: int
) -> None:
    """`harness judge … | head -0` must not look better than it is."""

    class Judged:
        verdict = word

    def gone(*_: Any) -> None:
        raise ReaderGone

    monkeypatch.setattr(judging, "judged_pair", lambda *_, **__: None)
    monkeypatch.setattr(judging, "judge", lambda *_, **__: Judged())
    monkeypatch.setattr(judging, "_show", gone)
    assert CliRunner().invoke(app, ["judge", "a", "b"]).exit_code == code


@pytest.mark.parametrize(
    ("broken", "code", "message"),
    [
        ("sys.modules['harness.cli.app'] = None", 70, "error: ModuleNotFoundError: "),
        ("sys.modules['typer'] = None", 70, "error: ModuleNotFoundError: "),
        ("sys.meta_path.insert(0, Interrupting())", 130, "error: interrupted; "),
        ("sys.stderr = None; sys.modules['typer'] = None", 70, ""),
    ],
)
def test_a_command_that_cannot_be_imported_is_a_fault(broken: str, code: int, message: str) -> None:
    """Python itself would end with 1, which is an answer of `harness judge`."""
    script = f"""
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt
from harness.cli import main
{broken}
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") <= 1
