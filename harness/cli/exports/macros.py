r"""Claims as TeX macros: `\KvCacheKvSpeedupEffect` in a sentence is the effect of the claim `kv-speedup`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from harness.analysis.results import SettledClaim
from harness.cli.exports.latex import DASH, latex_number
from harness.cli.tables import latex_text

if TYPE_CHECKING:
    from harness.report.inputs import ReportInput

_DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def tex_macros(parts: Sequence[ReportInput]) -> str:
    r"""One `\newcommand` per statistic of each claim: its effect, the ends of its interval, its n, its
    claimed figure and its verdict. A number is plain, so that `\num` can format it.
    """
    study = parts[0].loaded
    lines = [f"% {study.name} at scale {study.scale}, run {', '.join(part.run.id for part in parts)}"]
    names: set[str] = set()
    for claim in (claim for part in parts for claim in part.analysis.claims):
        stem = _unique(macro_name(study.name) + macro_name(claim.id), names)
        for statistic, text in _statistics(claim):
            lines.append(f"\\newcommand{{\\{stem}{statistic}}}{{{text}}}")
    return "\n".join(lines) + "\n"


def macro_name(text: str) -> str:
    """Letters alone, as TeX wants them: `kv-speedup2` is `KvSpeedupTwo`."""
    spelt = re.sub(r"[0-9]", lambda digit: f" {_DIGITS[int(digit[0])]} ", text)
    parts = re.findall(r"[A-Za-z]+", spelt)
    return "".join(word[0].upper() + word[1:] for word in parts)


def _unique(stem: str, names: set[str]) -> str:
    """The name, with `Again` if it exists: ids that differ in signs alone have equal letters."""
    candidate, number = stem, 1
    while candidate in names:
        number += 1
        candidate = stem + "Again" * (number - 1)
    names.add(candidate)
    return candidate


def _statistics(claim: SettledClaim) -> Iterable[tuple[str, str]]:
    numbers = claim.numbers
    low, high = numbers.low, numbers.high
    closed = all(end is not None and math.isfinite(end) for end in (low, high))
    yield "Effect", _number(numbers.effect)
    yield "Low", _number(low if closed else None)
    yield "High", _number(high if closed else None)
    yield "Claimed", _number(numbers.claimed)
    yield "N", str(claim.n)
    yield "Verdict", latex_text(claim.verdict)


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return r"\ensuremath{\infty}" if value > 0 else r"\ensuremath{-\infty}"
    return latex_number(value)
