"""The comparison of a study as a table for a paper or a README."""

from __future__ import annotations

import math

from harness.analysis.results import Analysis, Contrast
from harness.analysis.wording import figure

_LATEX = {**{character: f"\\{character}" for character in "&%$#_{}"}, "\\": r"\textbackslash{}", "–": "--"}
COLUMNS = ("metric", "condition", "arm", "baseline", "value", "ratio", "95 % interval", "n", "verdict")


def markdown_table(analysis: Analysis) -> str:
    """Contrasts as a Markdown table."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in _cells(c)) + " |" for c in analysis.contrasts
    ]
    return "\n".join(lines) + "\n"


def latex_table(analysis: Analysis) -> str:
    """Contrasts as a LaTeX tabular (booktabs)."""
    rows = [
        " & ".join(_escaped(cell) for cell in _cells(contrast)) + r" \\" for contrast in analysis.contrasts
    ]
    head = " & ".join(_escaped(column) for column in COLUMNS) + r" \\"
    body = "\n".join([r"\toprule", head, r"\midrule", *rows, r"\bottomrule"])
    return f"\\begin{{tabular}}{{lllrrrrrl}}\n{body}\n\\end{{tabular}}\n"


def _cells(contrast: Contrast) -> list[str]:
    condition = ", ".join(f"{factor}={level}" for factor, level in contrast.condition.items()) or "–"
    numbers = (contrast.baseline_value, contrast.value, contrast.effect)
    interval = f"{figure(contrast.low)} to {figure(contrast.high)}" if contrast.n else "–"
    shown = ["–" if math.isnan(number) else figure(number) for number in numbers]
    return [contrast.metric, condition, contrast.arm, *shown, interval, str(contrast.n), contrast.verdict]


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
