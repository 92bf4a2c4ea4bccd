"""Texts as cells of tables for documents: Markdown and LaTeX show them, and run or link nothing."""

from __future__ import annotations

import re

from harness.masking import masked
from harness.visible import one_line

_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
    "×": r"$\times$",
    "∞": r"$\infty$",
}


def markdown_cell(text: str) -> str:
    """One line in which nothing is markup: no column, link, code, emphasis, HTML tag or comment."""
    line = re.sub(r"([\\`|\[\]*])", r"\\\1", one_line(masked(text)))
    return line.replace("<", "&lt;")


def markdown_code(text: str) -> str:
    """The same as code, where nobody is mentioned either. Two characters look a little different."""
    line = one_line(masked(text)).replace("`", "'").replace("|", "¦")
    return f"`{line}`" if line else ""


def latex_text(text: str) -> str:
    """One line in which nothing is a command."""
    return "".join(_LATEX.get(character, character) for character in one_line(masked(text)))
