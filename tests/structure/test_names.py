"""Names and phrases that a newcomer would have to guess at must not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("harness", "models", "tests") for path in (ROOT / folder).rglob("*.py"))

# They say nothing about the thing that they name: a told what, a found what?
BANNED = {"told", "found", "place", "whole", "of", "own", "laid", "kept", "each"}

# Phrases of an earlier style, each with what to write instead.
PHRASES = {
    r"\bis none of its values\b": "'x' is not an allowed value",
    r"\bthings do not count, first\b": "3 problems; the first: …",
    r"\bis told\b": "is reported, is shown",
    r"\bare told\b(?! apart)": "are reported, are shown",
    r"\bis no number of\b": "must be between … and …",
    r"\bwhat came of\b": "the outcome of",
    r"\bat all is (confirmed|refuted|undecided)\b": "the direction (higher than the baseline) is …",
    r"\bwhat the baseline spent\b": "the same work as the baseline",
    r"\bas much as ever\b": "the full …",
    r"\bleft no model\b": "produced no checkpoint",
    r"\bgone on with\b": "resumed",
    r"\bbringing them here\b": "download",
    r"\bsays nothing, and\b": "what it means",
    r"\b(one|a) row a (?!(time)\b)[a-z]+": "one row per …",
    r"\bonce a (round|seed|trial|study|run|part|claim|metric)\b": "once per …",
    r"\b(one|a) fresh process a trial\b": "a fresh process for each trial",
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_identifiers_say_what_they_name(path: Path) -> None:
    names = _defined_names(ast.parse(path.read_text(encoding="utf-8")))
    assert [f"line {line}: {name}" for name, line in names if name.strip("_").lower() in BANNED] == []


def _defined_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """(name, line) for everything that the code gives a name to."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.arg(arg=name):
                yield name, node.lineno
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                yield name, node.lineno
            case ast.alias(asname=str(name)):
                yield name, node.lineno


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("told = 1", "told"),
        ("def f(of): pass", "of"),
        ("def _found(): pass", "_found"),
        ("class Told: pass", "Told"),
        ("self.place = 1", "place"),
        ("import os as own", "own"),
        ("[each for each in ()]", "each"),
        ("try: pass\nexcept ValueError as kept: pass", "kept"),
        ("match x:\n    case [whole, *_]: pass", "whole"),
        ("(laid := 1)", "laid"),
    ],
)
def test_every_way_to_give_a_name_is_seen(code: str, name: str) -> None:
    assert name in [defined for defined, _ in _defined_names(ast.parse(code))]


def _texts() -> Iterator[tuple[str, int, str]]:
    """(where, line, text) of every string, docstring, template and document that a person can read."""
    for path in SOURCES:
        if path.is_relative_to(ROOT / "tests"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path.relative_to(ROOT).as_posix(), node.lineno, node.value
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "harness").rglob("*.j2")]
    for path in [*documents, *(ROOT / "studies").rglob("*.yaml"), *(ROOT / "harness").rglob("*.yaml")]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            yield path.relative_to(ROOT).as_posix(), number, line


def test_texts_use_no_phrase_of_the_earlier_style() -> None:
    seen = [
        f"{where}:{line}: {match.group()!r}; write: {better}"
        for where, line, text in _texts()
        for phrase, better in PHRASES.items()
        for match in re.finditer(phrase, " ".join(text.split()))
    ]
    assert seen == []


def test_what_modules_share_has_one_owner() -> None:
    """A class or a constant that other modules import is the only one of its name."""
    owners: dict[str, set[str]] = {}
    imports: set[tuple[str, str]] = set()
    for path in (path for path in SOURCES if not path.is_relative_to(ROOT / "tests")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            match node:
                case ast.ClassDef(name=name):
                    owners.setdefault(name, set()).add(_module(path))
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                    owners.setdefault(name, set()).add(_module(path))
        for part in ast.walk(tree):
            if isinstance(part, ast.ImportFrom) and part.module:
                imports |= {(part.module, alias.name) for alias in part.names}
    shared = {
        name: sorted(module for module in modules if (module, name) in imports)
        for name, modules in owners.items()
    }
    # The transformer may import nothing of the rest, so it has one of its own.
    assert shared.pop("FROM_LIST") == ["harness.config", "harness.models.config.base"]
    assert {name: modules for name, modules in shared.items() if len(modules) > 1} == {}


def _module(path: Path) -> str:
    """The name by which the file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    dotted = ".".join(("harness", *parts) if parts[0] == "models" else parts)
    return dotted.removesuffix(".__init__")
