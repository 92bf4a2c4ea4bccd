"""Files are replaced completely, or not at all."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InputError
from harness.gate.files import write_file


def test_a_file_is_replaced(tmp_path: Path) -> None:
    for text in ("one", "two"):
        write_file(tmp_path / "file", text)
        assert (tmp_path / "file").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(tmp_path / "file", "one")

    def full(path: Path, text: str, **_: Any) -> int:
        path.open("w").close()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match="file: cannot write: No space left on device"):
        write_file(tmp_path / "file", "two")
    assert (tmp_path / "file").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write: No such file"):
        write_file(tmp_path / "none" / "file", "one")
