"""`~` is the home of the user, if there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.paths import expanded, home, home_is_writable


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
