from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from harness.data.cache import cache_dir, read_checksummed, tool_caches, unfinished, write_checksummed
from harness.errors import CorpusError


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HARNESS_CACHE", "~/somewhere")
    assert cache_dir() == Path.home() / "somewhere"
    monkeypatch.delenv("HARNESS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir().name == "transformer-harness"


@pytest.fixture
def without_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """As in a container: no HOME, and a user id without an entry in passwd. The folder for temporary files is
    a new one.
    """
    for name in ("HOME", "HARNESS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path / "transformer-harness-cache-54321"


def test_without_a_home_the_cache_is_a_folder_of_the_user(
    without_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_dir() == without_home
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_dir() == Path("/caches/transformer-harness")


def test_a_folder_that_somebody_else_made_is_not_the_cache(without_home: Path) -> None:
    without_home.mkdir()  # by the user that runs the test, whose id is another one
    with pytest.raises(CorpusError, match="belongs to somebody else; set HARNESS_CACHE to a folder of your"):
        cache_dir()
    without_home.rmdir()
    without_home.symlink_to("/tmp")
    with pytest.raises(CorpusError, match="belongs to somebody else"):
        cache_dir()


def test_programs_without_a_home_keep_their_files_in_the_cache(
    without_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    variables = {
        "TORCHINDUCTOR_CACHE_DIR": f"{without_home}/torchinductor",
        "TRITON_CACHE_DIR": f"{without_home}/triton",
        "MPLCONFIGDIR": f"{without_home}/matplotlib",
    }
    assert tool_caches() == variables
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tool_caches() == {}


def test_what_a_killed_process_left_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / ".unfinished-old").mkdir()
    (tmp_path / ".unfinished-old" / "part").write_text("half")
    with unfinished(tmp_path) as work:
        assert [path.name for path in tmp_path.glob(".unfinished*")] == [work.name]
    assert list(tmp_path.glob(".unfinished*")) == []


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_checksummed(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(CorpusError, match=r"cannot write .*: No space left on device; set HARNESS_CACHE"):
            write_checksummed(path, b"new")
    assert read_checksummed(path) == b"old"
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", ".lock"}


@pytest.mark.parametrize("position", [0, 2, -1])
def test_any_changed_byte_is_found(tmp_path: Path, position: int) -> None:
    path = tmp_path / "file"
    write_checksummed(path, b"abc")
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    assert read_checksummed(path) is None
    assert read_checksummed(tmp_path / "none") is None
