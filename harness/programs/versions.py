"""Two versions of a program: Git revisions or folders, each built once in a folder of its own."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError, message_line
from harness.programs.source_tree import SourceTree

_SHOWN_LINES = 5


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version as a person named it. `folder` has its files, and `revision` is the full name of its commit
    if it is one.
    """

    named: str
    folder: Path
    revision: str | None
    built: bool


def version(named: str, *, builds: Path, setup: str | None, here: Path) -> Version:
    """The version with this name: a folder, or else a revision of the repository in which `here` lies. It is
    copied into a folder below `builds` and built there with the command `setup`, unless that was done before.
    Neither the repository nor the folder is changed.

    Raises InputError if there is no such folder or revision, or if the build fails.
    """
    given = here / named
    if given.is_dir():
        if setup is None:
            return Version(named=named, folder=given, revision=None, built=False)
        content = SourceTree.read(given)
        folder = _folder(builds, content.digest, setup)
        if not folder.is_dir():
            with _unfinished(folder) as unfinished:
                shutil.copytree(content.store(builds / "sources"), unfinished, symlinks=True)
                _set_up(unfinished, setup, named)
        return Version(named=named, folder=folder, revision=None, built=True)
    revision, prefix = _revision(named, here)
    folder = _folder(builds, revision, setup or "")
    if not folder.is_dir():
        with _unfinished(folder) as unfinished:
            _check_out(_git(here, "rev-parse", "--show-toplevel"), revision, unfinished)
            if setup is not None:
                _set_up(unfinished / prefix, setup, named)
    return Version(named=named, folder=folder / prefix, revision=revision, built=setup is not None)


def _folder(builds: Path, content: str, setup: str) -> Path:
    made = hashlib.sha256(f"{content}\n{setup}".encode()).hexdigest()[:16]
    return builds.resolve() / made


@contextlib.contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """A folder that becomes `folder` if nothing goes wrong, and is removed otherwise."""
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield unfinished
        with contextlib.suppress(OSError):  # another process was faster
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


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


def _check_out(repository: str, revision: str, folder: Path) -> None:
    """A clone of its own, so that nothing is written into the repository of the user."""
    parent = folder.parent
    _git(parent, "clone", "--quiet", "--shared", "--no-checkout", repository, str(folder))
    _git(folder, "checkout", "--quiet", "--detach", revision)


def _git(folder: Path, *words: str) -> str:
    """The output of a command of Git. Raises InputError with Git's own message if it fails."""
    command = ["git", "-c", "advice.detachedHead=false", "-C", str(folder), *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise InputError(f"git cannot be run: {error.strerror}", hint="install Git") from None
    if done.returncode:
        message = (done.stderr.strip().splitlines() or ["it failed without a message"])[-1]
        raise InputError(f"git {words[0]}: {message_line(message)}")
    return done.stdout.strip()


def _set_up(folder: Path, setup: str, named: str) -> None:
    """Run the command that builds a version, with a shell, in its folder."""
    done = subprocess.run(
        setup,
        shell=True,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        last = " / ".join(done.stdout.strip().splitlines()[-_SHOWN_LINES:])
        raise InputError(
            f"the set-up of {named} ended with exit code {done.returncode}: {last or 'it printed nothing'}",
            hint=f"the command was {setup!r}",
        )
