"""The comparison of a study as a table for a paper or a README."""

from __future__ import annotations

from collections.abc import Iterable

from harness.analysis.results import Analysis, Contrast
from harness.metrics import metric
from harness.scoring.sentences import Sentences, signatures
from harness.wording import effect_text, interval_text, number_text

_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "–": "--",
    "×": r"$\times$",
    "∞": r"$\infty$",
}
COLUMNS = ("metric", "condition", "arm", "baseline", "value", "effect", "95 % interval", "n", "verdict")


def markdown_table(analysis: Analysis, written: Iterable[Sentences] = ()) -> str:
    """Contrasts as a Markdown table, and below it the signature of each score of what was written."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in _cells(c)) + " |" for c in analysis.contrasts
    ]
    lines += [f"\n{name}: `{signature}`" for name, signature in _signatures(written)]
    return "\n".join(lines) + "\n"


def latex_table(analysis: Analysis, written: Iterable[Sentences] = ()) -> str:
    """Contrasts as a LaTeX tabular (booktabs), and below it the signature of each score of what was written."""
    rows = [
        " & ".join(_escaped(cell) for cell in _cells(contrast)) + r" \\" for contrast in analysis.contrasts
    ]
    head = " & ".join(_escaped(column) for column in COLUMNS) + r" \\"
    body = "\n".join([r"\toprule", head, r"\midrule", *rows, r"\bottomrule"])
    below = "".join(
        f"\n{_escaped(name)}: \\texttt{{{_escaped(signature)}}}\n" for name, signature in _signatures(written)
    )
    return f"\\begin{{tabular}}{{lllrrrrrl}}\n{body}\n\\end{{tabular}}\n{below}"


def _signatures(written: Iterable[Sentences]) -> list[tuple[str, str]]:
    return [(name, signature) for name, known in signatures(written).items() for signature in known]


def _cells(contrast: Contrast) -> list[str]:
    condition = ", ".join(f"{factor}={level}" for factor, level in contrast.condition.items()) or "–"
    compared_by = metric(contrast.metric).compared_by
    numbers = [number_text(contrast.baseline_value), number_text(contrast.value)]
    effect = effect_text(contrast.effect, compared_by)
    interval = interval_text(contrast.low, contrast.high, compared_by)
    cells = [contrast.metric, condition, contrast.arm, *numbers, effect, interval]
    return [*cells, str(contrast.n), contrast.verdict]


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
