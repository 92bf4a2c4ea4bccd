"""A lock on the machine: two drivers that train or measure at the same time would slow each other down.

There is one lock per machine, whatever the user, TMPDIR or HOME. On Linux it is an abstract socket, which
needs no file and which all users share. Containers have sockets of their own, but may share a folder with the
host, so that a file in each folder that everybody may write to is locked as well. Drivers take all of them in
the same order. Where nothing is shared, the telemetry shows that other programs were busy.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.errors import HarnessError, Location

NAME = "transformer-harness"
"""Of the socket and of the files."""
FOLDERS = (Path("/run/lock"), Path("/tmp"))

_MOST_WAITING = 128
_RETRY_SECONDS = 0.02


@contextlib.contextmanager
def machine_lease(note: Callable[[str], None]) -> Iterator[None]:
    """Lock this machine for trials that are timed or use all of it. The lock also ends with the process.

    If another driver holds the lock, `note` receives one message, and this function waits. Raises
    HarnessError if a file of the lock is a link or cannot be opened.
    """
    waiting = _Waiting(note)
    with contextlib.ExitStack() as held:
        if sys.platform == "linux":
            held.enter_context(_locked_socket(f"\0{NAME}", waiting))
        for folder in FOLDERS:
            if _is_shared(folder):
                held.enter_context(_locked_file(folder / f"{NAME}.lock", waiting))
        yield


class _Waiting:
    """Writes the message once, however many locks are waited for."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note: Callable[[str], None] | None = note

    def begins(self, process: int | None) -> None:
        if self._note is not None:
            who = f"process {process}" if process else "another driver"
            self._note(f"waiting for {who}, which is training or measuring on this machine")
            self._note = None


@contextlib.contextmanager
def _locked_socket(address: str, waiting: _Waiting) -> Iterator[None]:
    """The abstract socket of this address, which the kernel frees when its holder ends."""
    while True:
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as listener:
            try:
                listener.bind(address)
                listener.listen(_MOST_WAITING)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:  # this system has no such sockets
                    yield
                    return
            else:
                yield
                return
        _wait_for_holder(address, waiting)


def _wait_for_holder(address: str, waiting: _Waiting) -> None:
    """Wait until the socket is closed: the holder accepts no connection, so nothing else ends one."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as caller:
        try:
            caller.connect(address)
            credentials = caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            waiting.begins(struct.unpack("3i", credentials)[0])
            caller.recv(1)
        except ConnectionError:
            time.sleep(_RETRY_SECONDS)  # it does not listen yet, or it has just been closed


def _is_shared(folder: Path) -> bool:
    """Whether everybody may write to the folder. So every user gives the same answer."""
    try:
        return folder.stat().st_mode & stat.S_IRWXO == stat.S_IRWXO
    except OSError:
        return False


@contextlib.contextmanager
def _locked_file(path: Path, waiting: _Waiting) -> Iterator[None]:
    """A locked file. It is removed in the end, unless it belongs to another user."""
    while True:
        descriptor = _open(path)
        if descriptor is None:
            yield
            return
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting.begins(None)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(path, descriptor):
                try:
                    yield
                finally:
                    with contextlib.suppress(OSError):
                        path.unlink()
                return
        finally:
            os.close(descriptor)


def _open(path: Path) -> int | None:
    """The file, which no link leads to and which every user can open. None on a read-only file system.

    An existing file is opened without O_CREAT, which Linux may refuse for the file of another user. Locking
    needs no permission to write.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    while True:
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                try:
                    descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o444)
                except OSError as error:
                    if error.errno == errno.EROFS:
                        return None
                    raise
                os.fchmod(descriptor, 0o444)  # whatever the umask
                return descriptor
        except OSError as error:
            raise _unusable(
                path, "is a link" if error.errno == errno.ELOOP else str(error.strerror)
            ) from error
        else:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return descriptor
            os.close(descriptor)
            raise _unusable(path, "is not a regular file")


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the file is still at its path: a former holder may have removed it after it was opened."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _unusable(path: Path, why: str) -> HarnessError:
    return HarnessError(
        f"cannot lock this machine for measurements: the lock file {why}",
        at=Location(str(path)),
        hint="remove this file if no other driver is running",
    )
