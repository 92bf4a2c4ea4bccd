"""The files of a program, with a digest of their content, and copies of them in which the program can run.

A trial must not see what another trial left (a checkpoint from which it would continue), and it must not see
what its author changes while the study runs. So the files are stored once, under their digest, and every
trial gets a new copy.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ChangedError, InputError

MOST_FILES = 20_000
MOST_BYTES = 512 * 2**20

IGNORED = (
    ".*",
    "__pycache__",
    "*.pyc",
    "node_modules",
    "venv",
    "wandb",
    "mlruns",
)
"""Names of files and folders that are no source, where Git does not say what is."""

ALL_FILES = "**"
"""The pattern of all files, also of those that Git ignores: what a build makes belongs to the program."""

STUDIES, MADE = "studies", ("results", "reports")
"""The folders of a project that the harness reads and writes."""


def sources_in(results: Path) -> Path:
    """The folder of the files of programs in a folder of results."""
    return results.resolve() / "sources"


@dataclass(frozen=True, kw_only=True)
class SourceTree:
    """Some files of a folder: their paths, relative to it and in order, and a digest of them all.

    The digest covers paths, contents, links, and whether a file can be executed.
    """

    folder: Path
    files: tuple[str, ...]
    digest: str

    @classmethod
    def read(cls, folder: Path, patterns: Sequence[str] = ()) -> SourceTree:
        """The files of a folder: those that Git tracks or would track, or else all but those that `IGNORED`
        names; never studies, results or reports of the harness. With patterns (`*.py`, `data/small/*`), only
        the files that match one.

        Raises InputError if the folder cannot be read, or if the files are too many or too large.
        """
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}")
        if tuple(patterns) == (ALL_FILES,):
            names = sorted(_walked(folder, ignored=(".git",)))
        else:
            names = sorted(_listed(folder))
            if patterns:
                names = [name for name in names if any(fnmatch.fnmatch(name, one) for one in patterns)]
        if not names:
            raise InputError(f"{folder} has no files" + (" of these patterns" if patterns else ""))
        if len(names) > MOST_FILES:
            raise InputError(
                f"{folder} has {len(names):,} files, more than {MOST_FILES:,}",
                hint='choose the files of the program: `files: ["*.py"]`',
            )
        return cls(folder=folder, files=tuple(names), digest=_digest(folder, names))

    def store(self, stores: Path) -> Path:
        """The folder below `stores` that has a copy of the files; it is made if it is not there.

        Raises ChangedError if the files are not those that were read any more.
        """
        stored = stores / self.digest
        if stored.is_dir():
            return stored
        stores.mkdir(parents=True, exist_ok=True)
        unfinished = stores / f".{self.digest}.{os.getpid()}"
        try:
            self._copy(unfinished)
            if _digest(unfinished, self.files) != self.digest:
                raise ChangedError(
                    f"the files in {self.folder} changed while they were read", hint="run it again"
                )
            with contextlib.suppress(OSError):  # another process was faster
                unfinished.rename(stored)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return stored

    def _copy(self, target: Path) -> None:
        for name in self.files:
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copy2(self.folder / name, path, follow_symlinks=False)
            except FileNotFoundError:
                raise ChangedError(
                    f"{self.folder / name} was removed meanwhile", hint="run it again"
                ) from None


def _listed(folder: Path) -> Iterator[str]:
    """The files that are sources of a program."""
    tracked = _git_files(folder, "--cached")
    others = _git_files(folder, "--others", "--exclude-standard")
    if not tracked and not others:  # no repository, or a folder that it ignores
        yield from (name for name in _walked(folder, ignored=IGNORED) if not _is_ours(name, made=True))
        return
    yield from {name for name in tracked or () if not _is_ours(name, made=False)}
    yield from {name for name in others or () if not _is_ours(name, made=True)}


def _is_ours(name: str, *, made: bool) -> bool:
    """Whether the harness reads the file, or `made` it: a changed claim does not change the program."""
    parts = Path(name).parts
    return (parts[0] == STUDIES and name.endswith((".yaml", ".yml", ".json"))) or (made and parts[0] in MADE)


def _git_files(folder: Path, *which: str) -> list[str] | None:
    """Files that Git knows. None without Git, or outside of a repository."""
    command = ["git", "-C", str(folder), "ls-files", "-z", *which]
    try:
        done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    except OSError:
        return None
    if done.returncode:
        return None
    names = [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]
    return [name for name in names if _is_file(folder / name)]


def _is_file(path: Path) -> bool:
    """Whether it is a file or a link; not a submodule, and not a file that was removed."""
    return path.is_symlink() or path.is_file()


def _walked(folder: Path, ignored: Sequence[str]) -> Iterator[str]:
    def is_ignored(name: str) -> bool:
        return any(fnmatch.fnmatch(name, pattern) for pattern in ignored)

    for path, folders, files in os.walk(folder):
        linked = [name for name in folders if Path(path, name).is_symlink()]
        folders[:] = [name for name in folders if not is_ignored(name) and name not in linked]
        for name in (*files, *linked):
            if not is_ignored(name):
                yield os.path.relpath(Path(path, name), folder)


def _digest(folder: Path, names: Sequence[str]) -> str:
    """16 hexadecimal digits. Raises InputError if a file cannot be read or all of them are too large."""
    made, size = hashlib.sha256(), 0
    for name in names:
        path = folder / name
        try:
            entry = path.lstat()
            size += entry.st_size
            if size > MOST_BYTES:
                raise InputError(
                    f"the files of {folder} have more than {MOST_BYTES >> 20} MiB",
                    hint='choose the files of the program: `files: ["*.py"]`',
                )
            if stat.S_ISLNK(entry.st_mode):
                kind, content = b"link", os.fsencode(path.readlink())
            elif stat.S_ISREG(entry.st_mode):
                kind, content = (b"program" if entry.st_mode & 0o100 else b"file"), path.read_bytes()
            else:
                raise InputError(f"{path} is neither a file nor a link")
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from None
        made.update(b"%d %s %s %d\n" % (len(os.fsencode(name)), os.fsencode(name), kind, len(content)))
        made.update(content)
    return made.hexdigest()[:16]
