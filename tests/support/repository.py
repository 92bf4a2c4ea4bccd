"""A Git repository in which every version of a program is a tag."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_AUTHOR = {f"GIT_{role}_{part}": "a@b" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}


def git(folder: Path, *words: str) -> str:
    """The output of a command of Git, without the configuration of the user."""
    settings = {**os.environ, **_AUTHOR, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True, env=settings
    )
    return done.stdout.strip()


def repository(folder: Path, versions: Mapping[str, Mapping[str, str]]) -> Path:
    """A repository with one commit per version, tagged with its name. A version is texts by their files."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "trunk")
    for name, files in versions.items():
        for file, text in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", name)
        git(folder, "tag", name)
    return folder


def state(folder: Path) -> dict[str, bytes]:
    """All files of the repository itself, with their content. Git may write its index when it only looks."""
    files = (path for path in (folder / ".git").rglob("*") if path.is_file() and path.name != "index")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
