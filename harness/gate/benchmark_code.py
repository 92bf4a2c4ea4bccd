"""The code of a benchmark: times can be compared only if both versions do the same work."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

CONFTEST = "conftest.py"


def code_digest(folder: Path, name: str) -> str:
    """A digest of the file of a benchmark without its other tests, and of the files `conftest.py` above it.
    Comments and the layout of the text do not count.
    """
    file, _, rest = name.partition("::")
    function = rest.partition("[")[0].rpartition("::")[2]
    path = folder / file
    above = [parent / CONFTEST for parent in path.parents if parent.is_relative_to(folder)]
    made = hashlib.sha256()
    for one in (path, *above):
        if one.is_file():
            made.update(_meaning(one.read_bytes(), "" if one.name == CONFTEST else function))
            made.update(b"\0")
    return made.hexdigest()[:16]


def _meaning(source: bytes, function: str) -> bytes:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return source
    tree.body = [_without_tests(node, function) for node in tree.body if not _is_other(node, function)]
    return ast.dump(tree).encode("utf-8", "surrogatepass")


def _without_tests(node: ast.stmt, function: str) -> ast.stmt:
    if isinstance(node, ast.ClassDef):
        node.body = [_without_tests(one, function) for one in node.body if not _is_other(one, function)]
    return node


def _is_other(node: ast.stmt, function: str) -> bool:
    """Whether it is a test, but not this one."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return node.name.startswith("test") and node.name != function
