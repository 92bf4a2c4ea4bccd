"""The variables of a program."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.programs.variables import program_variables, python_path


def variables(given: dict[str, str] | None = None, inherited: tuple[str, ...] = ()) -> dict[str, str]:
    return program_variables(
        given=given or {}, inherited=inherited, seed=7, threads=2, temporary=Path("/scratch")
    )


def test_a_program_sees_only_what_is_on_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name in ("HOME", "PATH", "LANG", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "HARNESS_STORE"):
        monkeypatch.setenv(name, name.lower())
    assert variables() == {
        "HOME": "home",
        "PATH": "path",
        "LANG": "lang",
        "OMP_NUM_THREADS": "2",
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": "/scratch",
        "HARNESS_SEED": "7",
    }


def test_what_a_study_inherits_and_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("LANG", "mine")
    monkeypatch.delenv("UNKNOWN", raising=False)
    seen = variables({"LANG": "C", "OMP_NUM_THREADS": "1"}, ("HF_TOKEN", "UNKNOWN"))
    assert (seen["HF_TOKEN"], seen["LANG"], seen["OMP_NUM_THREADS"]) == ("secret", "C", "1")
    assert "UNKNOWN" not in seen


def test_the_mark_by_which_a_driver_finds_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_DRIVER_FOLDER", "/folder")
    assert variables()["HARNESS_DRIVER_FOLDER"] == "/folder"


def test_modules_of_the_program_come_before_those_that_are_installed(tmp_path: Path) -> None:
    assert python_path(tmp_path, None) == str(tmp_path)
    (tmp_path / "src").mkdir()
    assert python_path(tmp_path, "/other") == f"{tmp_path}:{tmp_path / 'src'}:/other"
