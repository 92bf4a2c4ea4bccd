"""How numbers are written. Sentences, tables, figures, the terminal and exports all use these functions, so
the same number looks the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal

ComparedBy = Literal["ratios", "differences"]

UNKNOWN, UNBOUNDED = "–", "unbounded"

LARGEST_WRITTEN_OUT = 1e12
"""Larger numbers are written with an exponent, for example the perplexity of a training that diverged."""


def number_text(value: float) -> str:
    """Three significant digits, or three decimals near 1: `2.33`, `1.004`, `12,300`, `∞`."""
    if math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if 0.9 < value < 1.1:
        return f"{value:.3f}"
    return f"{value:,.0f}" if 999.5 <= abs(value) < LARGEST_WRITTEN_OUT else f"{value:.3g}"


def level_text(level: float) -> str:
    """The level of an interval: `95 %`, `98.3 %`, `99.975 %`."""
    return f"{precise_text(100 - float(f'{(1 - level) * 100:.2g}'))} %"


def precise_text(value: float) -> str:
    """Up to six significant digits, for numbers that somebody chose or counted: `0.05`, `12,345`."""
    if not math.isfinite(value):
        return number_text(value)
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:,.6g}"


def full_text(value: float) -> str:
    """Every digit, for a cell that is sorted or saved: `2.3333333333333335`, `inf`, `nan`."""
    return repr(float(value))


def chosen_text(value: float) -> str:
    """Four significant digits, for a setting that a search chose: `0.02174`, `3e-5`, `25,600`."""
    written_out = 1e4 <= abs(value) < 1e7
    mantissa, exponent, power = (f"{value:,.0f}" if written_out else f"{value:,.4g}").partition("e")
    return f"{mantissa}e{int(power)}" if exponent else mantissa


def ratio_text(ratio: float) -> str:
    """`2.33 ×`."""
    return UNKNOWN if math.isnan(ratio) else f"{number_text(ratio)} ×"


def difference_text(difference: float) -> str:
    """A difference with its sign: `+0.62`."""
    if not math.isfinite(difference) or difference == 0:
        return number_text(difference)
    return f"{difference:+.3g}"


def effect_text(effect: float, compared_by: ComparedBy) -> str:
    """The effect alone: `2.33 ×` or `+0.62`."""
    return ratio_text(effect) if compared_by == "ratios" else difference_text(effect)


def effect_phrase(effect: float, compared_by: ComparedBy) -> str:
    """The effect in a sentence, where "the baseline's" follows: `2.33 ×`, `0.62 above` or `0.62 below`."""
    if compared_by == "ratios":
        return ratio_text(effect)
    if effect == 0:
        return "no different from"
    return f"{number_text(abs(effect))} {'above' if effect > 0 else 'below'}"


def interval_text(low: float, high: float, compared_by: ComparedBy = "ratios") -> str:
    """`8.31 to 8.76 ×` for ratios, `-0.3 to +0.9` for differences.

    An interval that allows every effect is `unbounded`.
    """
    if math.isnan(low) or math.isnan(high):
        return UNKNOWN
    if high == math.inf and (low == -math.inf or (compared_by == "ratios" and low <= 0)):
        return UNBOUNDED
    if compared_by == "ratios":
        return f"{number_text(low)} to {ratio_text(high)}"
    return f"{difference_text(low)} to {difference_text(high)}"


def margin_text(margin: float, compared_by: ComparedBy) -> str:
    """`± 5 %` for ratios, `± 0.5` for differences."""
    return f"± {precise_text(margin * 100)} %" if compared_by == "ratios" else f"± {precise_text(margin)}"


def percent_text(share: float) -> str:
    """A share as percent, with two significant digits: `0.32 %`, `28 %`."""
    return f"{share * 100:.2g} %" if share < 0.995 else f"{share * 100:.0f} %"


def format_bytes(value: float) -> str:
    """Bytes in binary units: 1536 is `1.5 KiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024 or unit == "GiB":
            digits = f"{value:,.0f}" if unit == "B" or abs(value) >= 1000 else f"{value:.4g}"
            return f"{digits} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def format_seconds(value: float) -> str:
    """Seconds in the unit that fits: `12.3 s`, `42 µs`."""
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if abs(value) * factor >= 1 or unit == "µs":
            shown = value * factor
            return f"{shown:,.0f} {unit}" if abs(shown) >= 999.5 else f"{shown:.3g} {unit}"
    raise AssertionError("unreachable")


def count(number: int, noun: str) -> str:
    """`1 seed`, `1,000 seeds`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def n_text(numbers: Iterable[int], noun: str) -> str:
    """` n = 7 pairs.`, or ` n = 5 to 8 pairs.`: on how many values a figure rests, with a space before it.
    Empty without numbers.
    """
    known = sorted(set(numbers))
    if not known:
        return ""
    between = f"{known[0]:,} to {known[-1]:,}" if len(known) > 1 else f"{known[0]:,}"
    return f" n = {between} {noun if known[-1] == 1 else f'{noun}s'}."


def words(name: str) -> str:
    """A name from a study as words: `new_tokens` is `new tokens`."""
    return name.replace("_", " ")


def at_condition(names: Mapping[str, str]) -> str:
    """` at new tokens 64`, with a space before it; empty if the study has no conditions."""
    return " at " + ", ".join(f"{words(factor)} {level}" for factor, level in names.items()) if names else ""
