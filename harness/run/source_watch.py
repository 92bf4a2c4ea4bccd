"""Whether the code and the files that a run measures with are still those with which it began."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harness.data.reference import FilesCorpus, VectorsFile
from harness.errors import ChangedError
from harness.machine.code_digest import PACKAGE, code_digests, plugin_files, source_files
from harness.study.loaded import LoadedStudy
from harness.study.shipped import recipe_file

Stamp = tuple[int, int, int]
"""The time of the last change, the size and the inode of a file."""


class SourceWatch:
    """Watches the code of the package and of plug-ins, and the files of a study.

    `code` is the measuring digest of the run. A check costs one `stat` per file; contents are read only if a
    stamp has changed. Files that are missing when the watch begins are not watched.
    """

    def __init__(self, code: str, files: Iterable[Path], package: Path = PACKAGE) -> None:
        self._code, self._package = code, package
        self._stamps = self._package_stamps()
        self._files = {path: (_stamp(path), _sha256(path)) for path in sorted(files) if path.is_file()}

    def check(self) -> None:
        """Raises ChangedError if the code that can change a measurement, or a file, has another content."""
        stamps = self._package_stamps()
        if stamps != self._stamps:
            if code_digests(self._package).measuring != self._code:
                raise _changed("the code that measures")
            self._stamps = stamps
        for path, (stamp, content) in self._files.items():
            now = _stamp(path)
            if now != stamp:
                if _sha256(path) != content:
                    raise _changed(str(path))
                self._files[path] = now, content

    def _package_stamps(self) -> dict[str, Stamp | None]:
        files = {name: _stamp(f"{self._package}/{name}") for name in source_files(self._package)}
        return files | {name: _stamp(file) for name, file in plugin_files().items()}


def files_of(loaded: LoadedStudy) -> set[Path]:
    """The recipes and the own text files that the trials of a study read."""
    files = set[Path]()
    for task in loaded.tasks.values():
        recipes = (recipe_file(loaded.path, name) for name in _recipes(task.plain()))
        files.update(filter(None, recipes))
        for corpus in task.corpora():
            if isinstance(corpus, FilesCorpus):
                names = (*corpus.files, *corpus.train, *corpus.valid, *corpus.test)
                files.update(map(Path, names))
            elif isinstance(corpus, VectorsFile):
                files.add(Path(corpus.file))
    return files


def _recipes(settings: Any) -> Iterator[str]:
    """The names of all recipes in the settings of a task."""
    if isinstance(settings, dict):
        if isinstance(settings.get("recipe"), str):
            yield settings["recipe"]
        for value in settings.values():
            yield from _recipes(value)


def _stamp(path: Path | str) -> Stamp | None:
    try:
        status = os.stat(path)  # noqa: PTH116  a Path for each of hundreds of files takes longer
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _sha256(path: Path) -> str:
    """The digest of the file; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _changed(what: str) -> ChangedError:
    return ChangedError(
        f"{what} changed during the run, so the run has stopped and its last round is set aside",
        hint="undo the change to continue this run, or run again to start another one",
    )
