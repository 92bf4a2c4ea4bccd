"""`~` is the home of the user, if there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.paths import expanded, home, home_is_writable, is_read_only, nearest
from tests.support.real_disk import mounted


@pytest.fixture
def without_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container: no HOME, and a user id without an entry in passwd."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)


def test_the_home_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/results") == tmp_path / "results"
    assert expanded("a/~/b") == Path("a/~/b")
    assert home() == tmp_path
    assert home_is_writable()
    monkeypatch.setenv("HOME", "/nonexistent")
    assert home() == Path("/nonexistent")
    assert not home_is_writable()


@pytest.mark.usefixtures("without_home")
def test_an_unknown_home_is_not_a_folder_called_tilde() -> None:
    assert home() is None
    assert not home_is_writable()
    with pytest.raises(InputError, match="~/results: the home that ~ stands for is unknown; give the full"):
        expanded("~/results")


def test_the_nearest_path_that_exists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A link that leads nowhere exists."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("nowhere")
    assert nearest(Path("a/b")) == nearest(tmp_path) == tmp_path
    assert nearest(tmp_path / "link" / "b") == tmp_path / "link"


def test_a_read_only_file_system(tmp_path: Path) -> None:
    """The permissions of a folder do not matter."""
    (tmp_path / "closed").mkdir(mode=0o555)
    assert not is_read_only(tmp_path / "closed")
    assert not is_read_only(tmp_path / "none")
    with mounted(tmp_path / "disk", "ro") as disk:
        assert is_read_only(disk)
