"""The cache directory, and files that are either complete or absent.

<cache>/corpora/<name>/      files of a named corpus, verified against the catalogue whenever they are read
<cache>/hf/<key>/            splits of a Hugging Face data set
<cache>/tokenizers/<key>     trained tokenizers        (these three end with their own SHA-256)
<cache>/tokens/<key>         tokenised splits

Other programs get folders of their own in it if they have no home (`tool_caches`).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from platformdirs import user_cache_dir

from harness.errors import CorpusError
from harness.paths import expanded, home, home_is_writable

TRAILER = hashlib.sha256().digest_size
UNFINISHED = ".unfinished-"


def cache_dir() -> Path:
    """`HARNESS_CACHE`, or the user's cache directory of this platform, or a folder of the user in the
    temporary folder if the home is unknown. It may not exist yet.

    Raises CorpusError if that folder belongs to somebody else, and InputError if `HARNESS_CACHE` begins with
    the home of nobody.
    """
    path = os.environ.get("HARNESS_CACHE")
    if path:
        return expanded(path).absolute()
    if home() is not None or Path(os.environ.get("XDG_CACHE_HOME", "")).is_absolute():
        return Path(user_cache_dir("transformer-harness"))
    return _folder_of_the_user()


def _folder_of_the_user() -> Path:
    """A folder with a name that others can predict, so it counts only if no other user has made it."""
    folder = Path(tempfile.gettempdir()) / f"transformer-harness-cache-{os.getuid()}"
    try:
        state = folder.lstat()
    except FileNotFoundError:
        return folder
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
        raise CorpusError(
            f"the home of the user is unknown, and {folder} belongs to somebody else",
            hint="set HARNESS_CACHE to a folder of your own",
        )
    return folder


def tool_caches() -> dict[str, str]:
    """Environment variables that give torch's compiler, Triton and Matplotlib folders in the cache. They are
    empty unless the home of the user, where these programs keep their files, cannot be used.
    """
    if home_is_writable():
        return {}
    names = {
        "TORCHINDUCTOR_CACHE_DIR": "torchinductor",
        "TRITON_CACHE_DIR": "triton",
        "MPLCONFIGDIR": "matplotlib",
    }
    return {variable: str(cache_dir() / folder) for variable, folder in names.items()}


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a CorpusError that names what could not be written."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "set HARNESS_CACHE to a writable directory with enough free space"
        raise CorpusError(f"cannot write {error.filename or path}: {reason}", hint=hint) from error


def sync_directory(folder: Path) -> None:
    """Make renames inside `folder` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """A temporary directory inside `folder`, for one process at a time, which is deleted when the block ends.

    A killed process cannot clean up, but it loses its lock. Therefore whoever holds the lock may delete what
    others have left here.
    """
    with writing(folder), contextlib.ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        lock = stack.enter_context((folder / ".lock").open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder, ignore_cleanup_errors=True) as work:
            yield Path(work)


def install(folder: Path, target: Path) -> None:
    """Move a finished `folder` to `target` in one rename. Call it inside `unfinished`, which has `folder`."""
    sync_directory(folder)
    if target.exists():
        target.rename(folder.with_name(f"{folder.name}.replaced"))
    folder.rename(target)
    sync_directory(target.parent)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits. Raises OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_durably(path: Path, *parts: bytes) -> None:
    """Write the parts into a new file that survives a power failure."""
    with path.open("wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())


def write_checksummed(path: Path, payload: bytes) -> None:
    """Write `payload` and its SHA-256 atomically. If two processes write one path, either may win."""
    with unfinished(path.parent) as work:
        write_durably(work / path.name, payload, hashlib.sha256(payload).digest())
        (work / path.name).replace(path)
        sync_directory(path.parent)


def read_checksummed(path: Path) -> bytes | None:
    """What `write_checksummed` wrote, or None if the file is missing or damaged and must be made again."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    payload, checksum = content[:-TRAILER], content[-TRAILER:]
    return payload if hashlib.sha256(payload).digest() == checksum else None


def read_verified(path: Path, sha256: str, *, what: str, hint: str) -> bytes:
    """The bytes of `path`. Raises CorpusError if it cannot be read or has another SHA-256."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{what}: cannot read {path}: {error.strerror or error}", hint=hint) from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise CorpusError(
            f"{what}: {path} is damaged: sha256 {actual[:12]}…, expected {sha256[:12]}…", hint=hint
        )
    return content
