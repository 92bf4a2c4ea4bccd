"""The folder in which a driver keeps what its trials write. Those of drivers that died are removed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import psutil

from harness.machine.process_identity import ProcessIdentity
from harness.run.processes import end_marked

PREFIX, OWNER = "harness-", "owner.json"


class Scratch:
    """A new folder for this process in a folder for temporary files. It says who owns it."""

    def __init__(self, parent: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent)).resolve()
        self._owner = os.open(self.folder / OWNER, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._owner, fcntl.LOCK_EX)
        os.write(self._owner, json.dumps(asdict(ProcessIdentity.of_this_process())).encode())

    def remove(self) -> None:
        """Remove the folder, and end what still runs in it."""
        end_marked(self.folder)
        remove_tree(self.folder)
        with contextlib.suppress(OSError):
            os.close(self._owner)


def folder_of_driver(pid: int) -> Path | None:
    """The folder of the driver of this user and this machine that has this process id, or None."""
    for folder in _folders():
        with contextlib.suppress(OSError, ValueError, TypeError):
            owner = ProcessIdentity(**json.loads((folder / OWNER).read_text(encoding="utf-8")))
            if owner.pid == pid and owner.host == socket.gethostname() and not owner.has_ended:
                return folder
    return None


def _folders() -> Iterator[Path]:
    return Path(tempfile.gettempdir()).resolve().glob(f"{PREFIX}*")


def remove_tree(folder: Path) -> None:
    """Remove a folder, if it is there, with all that trials have left in it: also folders that they made
    read-only, as some caches of packages are.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.is_dir():
        return
    for path, folders, _ in os.walk(folder):  # which lists a folder after this has changed it
        for inner in map(Path(path).joinpath, folders):
            if not inner.is_symlink():
                with contextlib.suppress(OSError):
                    inner.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """End the processes and remove the folders of drivers of this user and this machine that have died.

    A folder is left alone as long as its owner lives. That is so if its lock is held, in whichever container,
    or if there is a process with the id and the start time of its owner.
    """
    for folder in _folders():
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid == os.geteuid() and folder.is_dir() and not folder.is_symlink():
                _sweep_one(folder)


def _sweep_one(folder: Path) -> None:
    try:
        descriptor = os.open(folder / OWNER, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return  # another program's folder, or one that is just being made
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _has_died(os.read(descriptor, 4096)):
            end_marked(folder)
            remove_tree(folder)
    except OSError:
        return  # its owner holds the lock
    finally:
        os.close(descriptor)


def _has_died(owner: bytes) -> bool:
    """Whether the owner of a folder has ended. An owner on another machine counts as alive."""
    try:
        process = ProcessIdentity(**json.loads(owner))
    except (ValueError, TypeError):
        return False
    if process.host == socket.gethostname() and not process.machine:  # this system tells only the id
        return not psutil.pid_exists(process.pid)
    return process.has_ended or process.is_of_an_earlier_boot
