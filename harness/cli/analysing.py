"""`harness analyse`: results that other programs measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.cli.console import CommandOutput
from harness.imported import FileOptions, analyse_file
from harness.imported.comparisons import ArmComparison
from harness.wording import effect_text, interval_text, level_text, margin_text, number_text

COLUMNS = (
    "metric",
    "arm",
    "value",
    "baseline",
    "effect",
    "level",
    "interval",
    "n",
    "margin",
    "verdict",
    "reason",
)


def show_analysis(path: Path, options: FileOptions, output: CommandOutput) -> None:
    """Print the comparisons of a file, and what the file does not show."""
    analysis = analyse_file(path, options)
    if output.json:
        output.data(analysis.data())
        return
    for guess in analysis.guesses:
        output.note(guess)
    output.table([_row(comparison) for comparison in analysis.comparisons], COLUMNS)
    for what, meaning in analysis.missing:
        output.line(f"{what}: {meaning}")


def _row(comparison: ArmComparison) -> dict[str, Any]:
    contrast, compared_by = comparison.numbers, comparison.record.compared_by
    shown = {"metric": comparison.metric, "arm": comparison.arm, "n": contrast.n}
    if contrast.n:
        shown |= {
            "value": number_text(contrast.value),
            "baseline": number_text(contrast.baseline_value),
            "effect": effect_text(contrast.effect, compared_by),
            "level": level_text(1 - contrast.alpha),
            "interval": interval_text(contrast.low, contrast.high, compared_by),
        }
    margin = margin_text(contrast.margin, compared_by) if contrast.margin else "none"
    return {**shown, "margin": margin, "verdict": comparison.verdict, "reason": comparison.reason}
