"""The results of a study as tables for Python, with sources, units and regions."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.analysis.results import without_difference
from harness.config import canonical_json
from harness.masking import masked
from harness.metrics import metric
from harness.study.levels import Scalar, level_name
from harness.study.loaded import LoadedStudy
from harness.visible import visible

if TYPE_CHECKING:
    from harness.report.inputs import ReportInput

VERDICTS = (
    "id",
    "source",
    "verdict",
    "effect",
    "low",
    "high",
    "unit",
    "n",
    "claimed",
    "region",
    "reason",
)
CONTRASTS = (
    "metric",
    "arm",
    "source",
    "baseline_value",
    "value",
    "effect",
    "low",
    "high",
    "unit",
    "level",
    "n",
    "margin",
    "region",
    "p",
    "p_adjusted",
    "verdict",
    "reason",
)


def verdict_table(parts: Iterable[ReportInput]) -> pd.DataFrame:
    """One row per claim. `region` has the bounds of the values that confirm it, if its form has any."""
    rows, names = [], set()
    for part in parts:
        names.add(part.loaded.part)
        declared = part.loaded.study.claims
        for claim in part.analysis.claims:
            known = declared.get(claim.id)
            more = {
                "part": part.loaded.part,
                "source": claim.source,
                "unit": claim.numbers.unit,
                "region": known.region if known else None,
            }
            rows.append(claim.row() | more)
    return pd.DataFrame(rows, columns=_columns(VERDICTS, (), names))


def contrast_table(parts: Iterable[ReportInput]) -> pd.DataFrame:
    """One row per arm, condition and metric, compared with the baseline. Each factor under `across` has a
    column. `source` names the sources of the claims about a contrast, and `region` has the bounds of the
    effects that do not matter.
    """
    rows, named, factors = [], set(), dict[str, None]()
    for part in parts:
        named.add(part.loaded.part)
        levels = level_values(part.loaded)
        factors |= dict.fromkeys(levels)
        sources = _sources(part.loaded)
        for contrast in part.analysis.contrasts:
            condition = {
                factor: levels[factor].get(name, name) for factor, name in contrast.condition.items()
            }
            numbers = {name: getattr(contrast, name, None) for name in CONTRASTS}
            record = metric(contrast.metric)
            key = contrast.metric, contrast.arm, canonical_json(contrast.condition)
            more = {
                "part": part.loaded.part,
                "source": ", ".join(sources.get(key, ())),
                "unit": record.effect_unit,
                "level": 1 - contrast.alpha,
                "region": without_difference(record.compared_by, contrast.margin),
            }
            rows.append({**numbers, **condition, **more})
    return pd.DataFrame(rows, columns=_columns(CONTRASTS, tuple(factors), named))


def _sources(loaded: LoadedStudy) -> dict[tuple[str, str, str], dict[str, None]]:
    """(metric, arm, condition) → the sources of the claims about this contrast, in the order of the study."""
    sources: dict[tuple[str, str, str], dict[str, None]] = {}
    study = loaded.study
    for claim in study.claims.values():
        named = claim.named_contrast(study.primary, loaded.arms, loaded.conditions)
        if named is not None:
            key = named.metric, named.arm.name, canonical_json(named.condition.names)
            sources.setdefault(key, {})[claim.source] = None
    return sources


def _columns(columns: tuple[str, ...], factors: tuple[str, ...], parts: set[str]) -> list[str]:
    """The factors come after the arm. A study without parts has no column for them."""
    at = columns.index("arm") + 1 if factors else 0
    several = ["part"] if parts - {""} else []
    return [*several, *columns[:at], *factors, *columns[at:]]


def level_values(part: LoadedStudy) -> dict[str, dict[str, Scalar]]:
    """Factor → name of a level → its value as the study has it. A group of settings has only its name."""
    return {
        factor: {level_name(level): level for level in levels if not isinstance(level, dict)}
        for factor, levels in part.study.across.items()
    }


def with_level_values(frame: pd.DataFrame, part: LoadedStudy) -> pd.DataFrame:
    """The frame whose factors have the values of their levels, for example numbers, and not their names."""
    columns: dict[str, Any] = {}
    for factor, values in level_values(part).items():
        if factor in frame:
            names = frame[factor].unique()
            columns[factor] = frame[factor].map({name: values.get(name, name) for name in names})
    return frame.assign(**columns)


def results_html(question: str, parts: Sequence[ReportInput], problem: str = "") -> str:
    """A question with the answer of each part and the verdicts, for a notebook."""
    lines = [f"<p><strong>{_html(question)}</strong></p>"]
    lines += [f"<p>{_html(part.analysis.answer)}</p>" for part in parts]
    if problem:
        lines.append(f"<p>{_html(problem)}</p>")
    if any(part.analysis.claims for part in parts):
        texts = [
            (claim.id, claim.source, claim.verdict, claim.effect, claim.interval, claim.claimed)
            for part in parts
            for claim in part.analysis.claims
        ]
        columns = ["claim", "source", "verdict", "effect", "interval", "claimed"]
        cells = [[visible(masked(text)) for text in row] for row in texts]
        lines.append(pd.DataFrame(cells, columns=columns).to_html(index=False, escape=True))
    return "\n".join(lines)


def _html(text: str) -> str:
    return html.escape(visible(masked(text)))
