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
import secrets
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ChangedError, InputError, did_you_mean

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
"""Names of files and folders that are no source unless Git tracks them: caches, and secrets (`.env`)."""

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
        """The files of a folder: those that Git tracks, and the others that it does not ignore and `IGNORED`
        does not name; never studies, results or reports of the harness. With patterns (`*.py`,
        `data/small/*`), only the files that match one; `*` matches `/` as well.

        Raises InputError if the folder cannot be read, if a pattern matches nothing, if the files are too
        many or too large, or if a link would mean something else in a copy.
        """
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}")
        if tuple(patterns) == (ALL_FILES,):
            names = sorted(_walked(folder, ignored=(".git",)))
        else:
            names = sorted(_listed(folder))
            if patterns:
                names = _matching(names, patterns, folder)
        if not names:
            raise InputError(f"{folder} has no files")
        if len(names) > MOST_FILES:
            raise InputError(
                f"{folder} has {len(names):,} files, more than {MOST_FILES:,}",
                hint='choose the files of the program: `files: ["*.py"]`',
            )
        if tuple(patterns) != (ALL_FILES,):
            _check_links(folder, names)
        return cls(folder=folder, files=tuple(names), digest=_digest(folder, names))

    def has_program(self, name: str) -> bool:
        """Whether a path, relative to the folder, is a file of the tree that can be executed."""
        path = Path(os.path.normpath(name))
        inside = os.fspath(path) in self.files or any(str(parent) in self.files for parent in path.parents)
        return inside and (self.folder / path).is_file() and os.access(self.folder / path, os.X_OK)

    def store(self, stores: Path) -> Path:
        """The folder below `stores` that has a copy of the files; it is made if it is not there.

        Raises ChangedError if the files are not those that were read any more, and InputError if they cannot
        be copied or if the copy was changed.
        """
        stored = stores / self.digest
        if not stored.is_dir():
            self._make(stored)
        if set(_walked(stored, ignored=())) != set(self.files) or _digest(stored, self.files) != self.digest:
            raise InputError(
                f"{stored} is not a copy of the program's files any more",
                hint="remove it, so that it is made again",
            )
        return stored

    def _make(self, stored: Path) -> None:
        unfinished = stored.with_name(f".{stored.name}.{secrets.token_hex(4)}")
        try:
            unfinished.mkdir(parents=True)
            self._copy(unfinished)
            if _digest(unfinished, self.files) != self.digest:
                raise ChangedError(
                    f"the files in {self.folder} changed while they were read", hint="run it again"
                )
            with contextlib.suppress(FileExistsError):
                _rename(unfinished, stored)
        except OSError as error:
            raise InputError(f"the files of {self.folder} cannot be copied: {error}") from None
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _copy(self, target: Path) -> None:
        for name in self.files:
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copy2(self.folder / name, path, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                raise ChangedError(
                    f"{self.folder / name} was removed meanwhile", hint="run it again"
                ) from None


def _rename(unfinished: Path, stored: Path) -> None:
    """Raises FileExistsError if another process was faster."""
    try:
        unfinished.rename(stored)
    except OSError as error:
        if stored.is_dir():
            raise FileExistsError from error
        raise


def _matching(names: Sequence[str], patterns: Sequence[str], folder: Path) -> list[str]:
    """The names that match a pattern. Raises InputError if a pattern matches none."""
    chosen: set[str] = set()
    for pattern in patterns:
        matching = fnmatch.filter(names, pattern)
        if not matching:
            raise InputError(f"no file in {folder} matches {pattern!r}", hint=did_you_mean(pattern, names))
        chosen.update(matching)
    return [name for name in names if name in chosen]


def _check_links(folder: Path, names: Iterable[str]) -> None:
    """Raises InputError for a link that would be broken in a copy of the folder, or that would lead from
    there to the folder itself, which may change.
    """
    top = os.path.abspath(folder)  # noqa: PTH100  links on the way to it are not followed
    for name in names:
        path = folder / name
        if not path.is_symlink():
            continue
        target = os.readlink(path)  # noqa: PTH115  a path would lose dots
        leads_to = os.path.normpath(os.path.join(top, os.path.dirname(name), target))  # noqa: PTH118, PTH120
        inside = leads_to == top or leads_to.startswith(f"{top}{os.sep}")
        if inside == os.path.isabs(target):  # noqa: PTH117
            wrong = "an absolute path inside of the folder" if inside else "out of the folder"
            right = "a relative path" if inside else "an absolute path"
            raise InputError(
                f"the link {path} leads to {wrong}, which a copy of the files could not follow",
                hint=f"use {right}, or leave the link out with `files`",
            )


def _listed(folder: Path) -> Iterator[str]:
    """The files that are sources of a program."""
    tracked = _git_files(folder, "--cached")
    others = _git_files(folder, "--others", "--exclude-standard")
    if not tracked and not others:  # no repository, or a folder that it ignores
        yield from (name for name in _walked(folder, ignored=IGNORED) if not _is_ours(name, made=True))
        return
    yield from {name for name in tracked or () if not _is_ours(name, made=False)}
    yield from {
        name
        for name in others or ()
        if not _is_ours(name, made=True) and not any(_matches(part, IGNORED) for part in Path(name).parts)
    }


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _is_ours(name: str, *, made: bool) -> bool:
    """Whether the harness reads the file, or `made` it: a changed claim does not change the program."""
    parts = Path(name).parts
    return (parts[0] == STUDIES and name.endswith((".yaml", ".yml", ".json"))) or (made and parts[0] in MADE)


def _git_files(folder: Path, *which: str) -> list[str] | None:
    """Files that Git knows. None without Git, or outside of a repository. Nothing that the repository names
    is run, such as a monitor of files, and a Git that runs this process does not choose the repository.
    """
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", "ls-files", "-z", *which]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, stdin=subprocess.DEVNULL, env=variables
        )
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
    for path, folders, files in os.walk(folder):
        linked = [name for name in folders if Path(path, name).is_symlink()]
        folders[:] = [name for name in folders if not _matches(name, ignored) and name not in linked]
        for name in (*files, *linked):
            if not _matches(name, ignored):
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
