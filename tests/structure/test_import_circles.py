"""No module imports itself, however long the way: lazy imports and those for type checking count alike.

A circle cannot be read from the bottom up, and whoever changes one of its modules must know all of them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]

# `harness.run`, `harness.load` and the like are looked up in the package when they are asked for, so that
# `import harness` is fast. Everything below imports modules by their full names and never these.
REEXPORTS = {"harness"}


def sources() -> dict[str, Path]:
    """Every module of the package by its name; `harness.models` is the folder models."""
    files: dict[str, Path] = {}
    for folder, name in (("harness", "harness"), ("models", "harness.models")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            files[".".join((name, *parts)).removesuffix(".__init__")] = path
    return files


def imported(tree: ast.AST, modules: set[str]) -> Iterator[str]:
    """The modules of the package that a file imports, wherever in the file it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in modules else str(node.module)


def graph() -> dict[str, set[str]]:
    files = sources()
    return {
        name: set(imported(ast.parse(path.read_text()), set(files)))
        for name, path in files.items()
        if name not in REEXPORTS
    }


def circle(edges: dict[str, set[str]]) -> list[str]:
    """The modules of one circle, in the order in which they import each other; empty if there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_a_lazy_import_and_one_for_type_checking_make_a_circle() -> None:
    lazy = "def f():\n    from harness.b import g\n"
    typing = "if TYPE_CHECKING:\n    from harness import a\n"
    modules = {"harness", "harness.a", "harness.b"}
    edges = {
        "harness.a": set(imported(ast.parse(lazy), modules)),
        "harness.b": set(imported(ast.parse(typing), modules)),
    }
    assert sorted(set(circle(edges))) == ["harness.a", "harness.b"]


def test_no_module_imports_itself_in_a_circle() -> None:
    edges = graph()
    assert len(edges) > 300
    assert circle(edges) == []
