"""Two versions of a program: Git revisions or folders, each built once in a folder of its own."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from harness.errors import InputError, message_line
from harness.programs.git import run_git, variables_without_repository
from harness.programs.source_tree import ALL_FILES, SourceTree

_SHOWN_LINES, _SHOWN_BYTES = 5, 65536


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version as a person named it. `folder` has its files. If it is a commit, `revision` is its full name
    and `committed` its time. `content` says what it was made from, if anybody asks.
    """

    named: str
    folder: Path
    revision: str | None
    built: bool
    content: str = ""
    committed: datetime | None = None

    @property
    def patterns(self) -> list[str]:
        """The patterns of its files: what a build has made belongs to it, even if Git ignores it."""
        return [ALL_FILES] if self.built else []


def version(named: str, *, builds: Path, setup: str | None, here: Path) -> Version:
    """The version with this name: a folder, or else a revision of the repository in which `here` lies. It is
    copied into a folder below `builds` and built there with the command `setup`, unless that was done before.
    Neither the repository nor the folder is changed.

    Raises InputError if there is no such folder or revision, if there are both, or if the build fails.
    """
    if not named.strip():
        raise InputError("the name of a version is empty", hint="give a folder or a revision, such as main")
    given = here / named
    if given.is_dir():
        _check_no_revision(named, here)
        return _of_folder(named, given, builds, setup)
    revision, prefix = _revision(named, here)
    folder = _folder(builds, revision, setup or "")
    if not folder.is_dir():
        with _unbuilt(folder) as unfinished:
            if unfinished is not None:
                _check_out(_git(here, "rev-parse", "--show-toplevel"), revision, unfinished)
                if setup is not None:
                    _set_up(unfinished / prefix, setup, named)
    built = setup is not None
    content = f"{revision} {prefix} {setup}" if built else SourceTree.read(folder / prefix).digest
    return Version(
        named=named,
        folder=folder / prefix,
        revision=revision,
        built=built,
        content=content,
        committed=_commit_time(here, revision),
    )


def _of_folder(named: str, given: Path, builds: Path, setup: str | None) -> Version:
    source = SourceTree.read(given)
    if setup is None:
        return Version(named=named, folder=given, revision=None, built=False, content=source.digest)
    folder = _folder(builds, source.digest, setup)
    if not folder.is_dir():
        with _unbuilt(folder) as unfinished:
            if unfinished is not None:
                stored = source.store(builds / "sources")
                shutil.copytree(stored, unfinished, symlinks=True, dirs_exist_ok=True)
                _set_up(unfinished, setup, named)
    content = f"{source.digest} {setup}"
    return Version(named=named, folder=folder, revision=None, built=True, content=content)


def _folder(builds: Path, content: str, setup: str) -> Path:
    made = hashlib.sha256(f"{content}\n{setup}".encode()).hexdigest()[:16]
    return builds.resolve() / made


@contextlib.contextmanager
def _unbuilt(folder: Path) -> Iterator[Path | None]:
    """An empty folder that becomes `folder` if nothing goes wrong, and is removed otherwise. None if another
    process has made `folder` meanwhile. What a process left that was killed is removed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            yield None
            return
        unfinished = folder.with_name(f".{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        try:
            yield unfinished
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def _check_no_revision(named: str, here: Path) -> None:
    """Raises InputError if the name of a folder is that of a revision as well."""
    try:
        _revision(named, here)
    except InputError:
        return
    raise InputError(
        f"{named!r} is a folder and a revision",
        hint=f"write ./{named} for the folder, or refs/heads/{named} for a branch",
    )


def _revision(named: str, here: Path) -> tuple[str, str]:
    """The full name of the commit, and where `here` lies in the repository."""
    hint = "give a folder or a revision of this repository, such as main or HEAD~1"
    if named.startswith("-"):
        raise InputError(f"{named!r} is neither a folder nor a revision", hint=hint)
    try:
        commit = _git(here, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{named}^{{commit}}")
        return commit, _git(here, "rev-parse", "--show-prefix")
    except InputError:
        raise InputError(f"{named!r} is neither a folder nor a revision of {here}", hint=hint) from None


def _commit_time(here: Path, revision: str) -> datetime:
    seconds = _git(here, "show", "--no-patch", "--format=%ct", revision)
    return datetime.fromtimestamp(int(seconds), UTC)


def _check_out(repository: str, revision: str, folder: Path) -> None:
    """A clone of its own, so that nothing is written into the repository of the user."""
    _git(folder, "clone", "--quiet", "--shared", "--no-checkout", "--", repository, str(folder))
    _git(folder, "checkout", "--quiet", "--detach", revision)


def _git(folder: Path, *words: str) -> str:
    """The output of a command of Git. Raises InputError with Git's own message if it fails."""
    try:
        done = run_git(folder, *words)
    except (OSError, ValueError) as error:  # a name with a null character
        raise InputError(f"git cannot be run: {error}", hint="is Git installed?") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise InputError(f"git {words[0]}: {message_line((lines or ['it failed without a message'])[-1])}")
    return os.fsdecode(done.stdout).strip()


def _set_up(folder: Path, setup: str, named: str) -> None:
    """Run the command that builds a version, with a shell, in its folder. If this process is interrupted, so
    is the command with all that it has started.
    """
    if not folder.is_dir():
        raise InputError(f"{named} has no folder {folder.name}", hint="it cannot be built there")
    with tempfile.TemporaryFile() as printed:  # what it leaves running may hold its output
        process = subprocess.Popen(
            setup,
            shell=True,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=variables_without_repository(),
        )
        try:
            code = process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        if code:
            ended = f"ended with exit code {code}" if code > 0 else f"was ended by {_signal_name(-code)}"
            last = _last_lines(printed) or "it printed nothing"
            raise InputError(f"the set-up of {named} {ended}: {last}", hint=f"the command was {setup!r}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_lines(printed: IO[bytes]) -> str:
    printed.seek(max(0, printed.seek(0, os.SEEK_END) - _SHOWN_BYTES))
    lines = printed.read().decode(errors="replace").strip().splitlines()
    return " / ".join(lines[-_SHOWN_LINES:])
