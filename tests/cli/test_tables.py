"""Cells of tables for documents, whatever a text contains."""

from __future__ import annotations

import re

import pytest

from harness.cli.tables import latex_text, markdown_cell
from tests.support.hostile_texts import HOSTILE_TEXTS


@pytest.mark.parametrize("name", HOSTILE_TEXTS)
def test_a_cell_of_markdown_is_one_visible_line_without_markup(name: str) -> None:
    cell = markdown_cell(HOSTILE_TEXTS[name])
    assert cell.isprintable()
    assert "<" not in cell
    assert re.search(r"(?<!\\)(\\\\)*[|`*\[\]]", cell) is None


@pytest.mark.parametrize("name", HOSTILE_TEXTS)
def test_a_text_of_latex_is_one_visible_line_without_commands_of_its_own(name: str) -> None:
    text = latex_text(HOSTILE_TEXTS[name])
    assert text.isprintable()
    commands = set(re.findall(r"\\([a-zA-Z]+)", text))
    assert commands <= {"textbackslash", "textless", "textgreater", "textasciitilde", "textasciicircum"}
    assert re.search(r"(?<!\\)[&%$#_]", text) is None


def test_what_texts_mostly_consist_of_stays_readable() -> None:
    assert markdown_cell("decode_tokens_per_second 2.33 × (95 %)") == "decode_tokens_per_second 2.33 × (95 %)"
    assert latex_text("2.33 × at 95 % – ∞") == r"2.33 $\times$ at 95 \% -- $\infty$"
    assert markdown_cell("https://me:CANARY@host") == r"https://\*\*\*@host"
    assert latex_text("https://me:CANARY@host") == "https://***@host"
