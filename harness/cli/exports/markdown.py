"""Contrasts as a Markdown table."""

from __future__ import annotations

from collections.abc import Iterable

from harness.analysis.results import Contrast
from harness.cli.exports.cells import NO_END, NOTE, condition_text, has_open_end, signatures_of
from harness.cli.tables import markdown_cell
from harness.metrics import metric
from harness.scoring.sentences import Sentences
from harness.wording import effect_text, interval_text, level_text, number_text

COLUMNS = ("metric", "condition", "arm", "baseline", "value", "effect", "level", "interval", "n", "verdict")


def markdown_table(contrasts: Iterable[Contrast], written: Iterable[Sentences] = ()) -> str:
    """The table, followed by the signature of each score of the written texts. A dash stands for an interval
    with an end that is not finite, and a note says so.
    """
    contrasts = list(contrasts)
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(markdown_cell(cell) for cell in _cells(c)) + " |" for c in contrasts]
    if any(has_open_end(contrast) for contrast in contrasts):
        lines.append(f"\n{NOTE}")
    lines += [f"\n{name}: `{signature}`" for name, signature in signatures_of(written)]
    return "\n".join(lines) + "\n"


def _cells(contrast: Contrast) -> list[str]:
    compared_by = metric(contrast.metric).compared_by
    numbers = [number_text(contrast.baseline_value), number_text(contrast.value)]
    open_end = has_open_end(contrast)
    interval = NO_END if open_end else interval_text(contrast.low, contrast.high, compared_by)
    return [
        contrast.metric,
        condition_text(contrast),
        contrast.arm,
        *numbers,
        effect_text(contrast.effect, compared_by),
        level_text(1 - contrast.alpha),
        interval,
        str(contrast.n),
        contrast.verdict,
    ]
