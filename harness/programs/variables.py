"""The environment variables that a program gets: those on a list, and those that its study names.

A program that sees everything depends on what happens to be set, and it could print a secret.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

INHERITED = (
    *("HOME", "LOGNAME", "PATH", "SHELL", "USER"),
    *("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_NUMERIC", "LC_TIME", "TZ"),
    *("CONDA_DEFAULT_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV"),
    *("CUDA_HOME", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"),
    *("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE"),
    *("HF_HOME", "TORCH_HOME", "XDG_CACHE_HOME"),
)
"""What a program needs to start and to find its libraries, its language, its GPU and its caches."""

SEED = "HARNESS_SEED"
MARKS = ("HARNESS_DRIVER_FOLDER",)
"""Variables by which a driver finds processes that a trial has left."""

RESERVED = frozenset({SEED, *MARKS})
"""Variables that no study can give or inherit."""


def python_path(folder: Path, others: str | None) -> str:
    """The path on which Python finds the program's own modules before those that are installed: a package in
    development may be installed from the folder of its author, which is another version.
    """
    paths = [str(folder), *([str(folder / "src")] if (folder / "src").is_dir() else [])]
    return os.pathsep.join([*paths, *([others] if others else [])])


def program_variables(
    *, given: Mapping[str, str], inherited: Iterable[str], seed: int, threads: int, temporary: Path
) -> dict[str, str]:
    """All variables of a program. `given` and `inherited` are those that the study names; `threads` is for
    programs that ask OpenMP how many they may use.
    """
    names = (*INHERITED, *MARKS, *inherited)
    return {
        **{name: os.environ[name] for name in names if name in os.environ},
        "OMP_NUM_THREADS": str(threads),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(temporary),
        SEED: str(seed),
        **given,
    }
