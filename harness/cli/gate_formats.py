"""What a gate found, in the forms that other tools read."""

from __future__ import annotations

import json
import math
from typing import Any

from harness.cli.tables import markdown_code
from harness.gate.decide import BenchmarkFinding
from harness.gate.result import GateResult


def markdown(result: GateResult) -> str:
    """A table for a pull request: what did not pass comes first. Texts of others are code, so that they are
    no markup, no links, and mention nobody.
    """
    order = ("regressed", "vanished", "invalid", "changed", "undecided", "new", "within")
    lines = [
        f"**{result.verdict}**: {markdown_code(result.reason)}",
        "",
        "| benchmark | state | time ÷ baseline | interval | margin |",
        "|---|---|---|---|---|",
    ]
    for one in sorted(result.findings, key=lambda finding: order.index(finding.state)):
        cells = [markdown_code(one.name), one.state, _ratio(one.ratio), _interval(one), _percent(one.margin)]
        lines.append(f"| {' | '.join(cells)} |")
    if result.warnings:
        lines += ["", *(f"- warning: {markdown_code(one)}" for one in result.warnings)]
    return "\n".join(lines) + "\n"


def smaller_is_better(result: GateResult) -> str:
    """JSON for github-action-benchmark (`customSmallerIsBetter`): each ratio with its interval."""
    rows = [
        {
            "name": one.name,
            "unit": "× baseline",
            "value": one.ratio,
            "range": _interval(one),
            "extra": one.state,
        }
        for one in result.findings
        if math.isfinite(one.ratio)
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def rows_of(result: GateResult) -> list[dict[str, Any]]:
    """One row per benchmark, for a table."""
    return [
        {
            "benchmark": one.name,
            "state": one.state,
            "ratio": _ratio(one.ratio),
            "interval": _interval(one),
            "margin": _percent(one.margin),
            "rounds": one.rounds,
            "reason": one.reason,
        }
        for one in result.findings
    ]


def _ratio(ratio: float) -> str:
    return f"{ratio:.3f} ×" if math.isfinite(ratio) else "–"


def _interval(one: BenchmarkFinding) -> str:
    return f"{one.low:.3f} to {one.high:.3f} ×" if math.isfinite(one.ratio) else "–"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
