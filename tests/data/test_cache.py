from __future__ import annotations

from pathlib import Path

import pytest

from harness.data.cache import cache_dir, read_checksummed, unfinished, write_checksummed
from harness.errors import CorpusError


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HARNESS_CACHE", "~/somewhere")
    assert cache_dir() == Path.home() / "somewhere"
    monkeypatch.delenv("HARNESS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir().name == "transformer-harness"


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
