"""The descriptions of the fields of configs: the docstring below each field, read from the source on demand.

Pydantic can read them too, but it would do so whenever a class is imported, which every command would pay.
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise

from pydantic import BaseModel

from harness.config import tag_of


@cache
def field_texts(config: type[BaseModel]) -> dict[str, str]:
    """The description of each field that has one, each in one line. The tag of a union's member is described
    by the docstring of its class.
    """
    texts: dict[str, str] = {}
    for declaring in reversed(config.__mro__):
        if issubclass(declaring, BaseModel) and declaring is not BaseModel:
            texts |= _docstrings(declaring)
    for name, field in config.model_fields.items():
        if field.description:
            texts[name] = field.description
        elif tag_of(field) is not None:
            texts[name] = class_text(config) or texts.get(name, "")
    return {name: texts[name] for name in config.model_fields if texts.get(name)}


def class_text(config: type[BaseModel]) -> str:
    """The first paragraph of the docstring of a class, in one line."""
    paragraph, _, _ = inspect.cleandoc(vars(config).get("__doc__") or "").partition("\n\n")
    return _one_line(paragraph)


def _docstrings(config: type[BaseModel]) -> dict[str, str]:
    """The docstrings of the fields that the class itself declares."""
    declared = _classes(config.__module__).get(config.__name__)
    body = declared.body if declared else []
    return {
        field.target.id: _one_line(text.value.value)
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    """The classes of a module, by name. A module without source has none."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError):
        return {}
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _one_line(text: str) -> str:
    return " ".join(text.split())
