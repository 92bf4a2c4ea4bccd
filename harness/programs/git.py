"""Runs Git in a folder, whatever repository the caller works on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_OF_A_REPOSITORY = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)
"""What `git rev-parse --local-env-vars` lists. Git sets some of them for its hooks."""


_SETTINGS = tuple(
    word
    for setting in ("advice.detachedHead=false", "core.fsmonitor=false", f"core.hooksPath={os.devnull}")
    for word in ("-c", setting)
)
"""No hook and no monitor of files runs."""


def variables_without_repository() -> Mapping[str, str]:
    """The variables of this process without those that name a repository: in a hook, Git would otherwise
    check out files in the repository of the user, in whatever folder it was started.
    """
    return {name: value for name, value in os.environ.items() if name not in _OF_A_REPOSITORY}


def run_git(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """A command of Git that has ended in this folder. Raises OSError if there is no Git."""
    return subprocess.run(
        ["git", *_SETTINGS, "-C", str(folder), *words],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=variables_without_repository(),
    )
