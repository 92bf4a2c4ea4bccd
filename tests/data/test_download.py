"""How much of a wheel has come: read from folders that pip changes meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from harness.data import download


def test_a_folder_that_pip_removes_while_it_is_looked_through_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "part.whl").write_bytes(b"12345")
    removed = tmp_path / "pip-unpack-1"
    removed.mkdir()
    scandir = os.scandir

    def scan(path: Any) -> Any:
        if Path(path) == removed:
            removed.rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    assert download._largest_file(tmp_path) == 5
    assert not removed.exists()


def test_a_folder_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    assert download._largest_file(tmp_path / "wheel") == 0
