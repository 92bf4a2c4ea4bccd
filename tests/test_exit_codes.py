"""One list of exit codes: the command line, the documents and the errors agree with it."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from harness import errors
from harness.cli.app import app
from harness.errors import HarnessError
from harness.exit_codes import MEANINGS, ExitCode, written

ROOT = Path(__file__).parents[1]
CODES = {written(code): meaning for code, meaning in MEANINGS.items()}


def test_every_code_has_a_meaning() -> None:
    assert list(MEANINGS) == list(ExitCode)


def test_the_help_lists_all_codes() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    _, listed = shown.split("Exit codes: ")
    assert dict(re.findall(r"(\d+(?: \+ n)?) ([^;]+?)(?:;|\.$)", listed)) == CODES


def test_the_table_of_the_documents_lists_all_codes() -> None:
    text = (ROOT / "docs" / "robustness.md").read_text()
    section = text.split("\n## Exit codes\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+(?: \+ n)?) \| ([^|]+) \| [^|]+ \|$", section, re.MULTILINE)
    assert dict(rows) == CODES
    assert len(rows) == len(CODES)


def test_the_readme_lists_all_codes() -> None:
    [listed] = re.findall(
        r"^Exit codes: (.*?)\n\n", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert re.findall(r"(?:^|; )(\d+(?: \+ n)?) ", " ".join(listed.split())) == list(CODES)


def test_every_error_ends_a_command_with_one_of_them() -> None:
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HarnessError)
    ]
    assert {kind.exit_code for kind in kinds} == set(ExitCode) - {
        ExitCode.FINISHED,
        ExitCode.NO,
        ExitCode.SIGNALLED,
    }
    assert all(isinstance(kind.exit_code, ExitCode) for kind in kinds)
