"""The digest of the code that produced a result: changed code makes a new run."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

_NOT_SOURCE = (".pyc", ".pyo", "~", ".swp", ".orig")


def code_digest(packages: Sequence[str] = ("harness", "models")) -> str:
    """SHA-256 in hexadecimal over the relative paths and contents of the packages' files, templates and SQL
    included.

    Packages are found as an import would find them, and not imported; nothing is cached. Compiled files,
    editors' leftovers and dot-files are left out. Raises ValueError for a package that cannot be found.
    """
    digest = hashlib.sha256()
    for package in sorted(packages):
        for path, name in sorted(_sources(package), key=lambda source: source[1]):
            content = path.read_bytes()
            digest.update(f"{package}/{name}\0{len(content)}\0".encode())  # the length keeps files apart
            digest.update(content)
    return digest.hexdigest()


def _sources(package: str) -> Iterator[tuple[Path, str]]:
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:  # of a parent
        spec = None
    if spec is None:
        raise ValueError(f"no package {package!r} to digest")
    if spec.submodule_search_locations is None:
        yield (path := Path(str(spec.origin))), path.name
        return
    for location in spec.submodule_search_locations:
        for folder, subfolders, files in os.walk(location):
            subfolders[:] = [
                name for name in subfolders if name != "__pycache__" and not name.startswith(".")
            ]
            for path in (Path(folder, name) for name in files):
                if not path.name.startswith(".") and not path.name.endswith(_NOT_SOURCE):
                    yield path, path.relative_to(location).as_posix()
