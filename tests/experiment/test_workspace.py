"""Folders into which nothing can be written, whoever asks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.experiment import Workspace
from tests.support.real_disk import mounted


def test_paths_may_be_strings_and_may_name_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    texts = Workspace(results="~/results", reports="reports", store=str(tmp_path / "one.db"))
    paths = Workspace(results=tmp_path / "results", reports=Path("reports"), store=tmp_path / "one.db")
    assert texts == paths
    assert replace(texts, store=None).location == str(tmp_path / "results" / "harness.db")


@pytest.mark.parametrize("closed", ["results", "reports"])
def test_a_read_only_disk_is_refused_before_anything_is_written(tmp_path: Path, closed: str) -> None:
    """Root is refused as well."""
    with mounted(tmp_path / "disk", "ro") as disk:
        folders = {"results": tmp_path / "results", "reports": tmp_path / "reports"}
        folders[closed] = disk / "new"
        with pytest.raises(InputError) as caught:
            Workspace(results=folders["results"], reports=folders["reports"]).check_writable()
        assert caught.value.exit_code == 2
        assert str(caught.value).startswith(f"cannot write in {disk / 'new'}: its file system is read-only; ")
        assert list(tmp_path.iterdir()) == [disk]
