"""Contrasts as a LaTeX table with booktabs and siunitx, and numbers that siunitx reads."""

from __future__ import annotations

import math
from collections.abc import Iterable

from harness.analysis.results import Contrast
from harness.cli.exports.cells import NOTE, condition_text, has_open_end, signatures_of
from harness.cli.tables import latex_text
from harness.metrics import metric
from harness.scoring.sentences import Sentences
from harness.wording import level_text, number_text

DASH = "--"
PREAMBLE = "% needs \\usepackage{booktabs} and \\usepackage{siunitx}\n"
_TEXTS = ("metric", "condition", "arm", "compared by")
_NUMBERS = ("baseline", "value", "effect", "low", "high")
_LAST = ("n", "verdict")


def latex_table(contrasts: Iterable[Contrast], written: Iterable[Sentences] = ()) -> str:
    """A row per contrast; numbers stand in columns `S` of siunitx. A dash stands for the ends of an interval
    of which one is not finite, and a note says so. The signatures of scores follow.
    """
    contrasts = list(contrasts)
    head = [*map(latex_text, _TEXTS), *(f"{{{name}}}" for name in (*_NUMBERS, "n")), "verdict"]
    lines = [
        rf"\begin{{tabular}}{{{'l' * len(_TEXTS)}{'S' * (len(_NUMBERS) + 1)}l}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
        *(" & ".join(_cells(contrast)) + r" \\" for contrast in contrasts),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    below = [f"\n{_levels(contrasts)}"] if contrasts else []
    if any(has_open_end(contrast) for contrast in contrasts):
        below.append(f"\n{latex_text(NOTE)}")
    below += [f"\n{latex_text(name)}: \\texttt{{{latex_text(one)}}}" for name, one in signatures_of(written)]
    return PREAMBLE + "\n".join([*lines, *below]) + "\n"


def latex_number(value: float) -> str:
    """A number that siunitx reads, or what stands in place of one, in braces: `2.33`, `12300`, `{--}`."""
    if math.isnan(value):
        return f"{{{DASH}}}"
    if math.isinf(value):
        return r"{$\infty$}" if value > 0 else r"{$-\infty$}"
    return number_text(value).replace(",", "")


def _cells(contrast: Contrast) -> list[str]:
    compared_by = metric(contrast.metric).compared_by
    ends = (math.nan, math.nan) if has_open_end(contrast) else (contrast.low, contrast.high)
    numbers = (contrast.baseline_value, contrast.value, contrast.effect, *ends)
    texts = (contrast.metric, condition_text(contrast), contrast.arm, compared_by)
    return [
        *map(latex_text, texts),
        *map(latex_number, numbers),
        str(contrast.n),
        latex_text(contrast.verdict),
    ]


def _levels(contrasts: Iterable[Contrast]) -> str:
    levels = dict.fromkeys(level_text(1 - contrast.alpha) for contrast in contrasts)
    plural = "s" if len(levels) > 1 else ""
    return latex_text(f"Level{plural} of the intervals: {', '.join(levels)}.")
