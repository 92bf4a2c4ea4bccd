"""A run as JSON: the study, the run, and the contrasts and claims of each part, with every digit. The raw
samples are what CSV and Parquet are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.analysis.results import Contrast
from harness.cli.console import json_text, parts_as_json
from harness.cli.exports.chosen import Chosen
from harness.metrics import metric

if TYPE_CHECKING:
    from harness.report.inputs import ReportInput

FORMAT = 1
"""The version of the form of the file. A change that breaks readers makes it greater."""


def json_export(parts: Sequence[ReportInput], chosen: Chosen) -> str:
    """The text of the file. JSON has no infinity: it is the text `inf`."""
    study = parts[0].loaded
    document = {
        "format": FORMAT,
        "study": study.name,
        "question": study.study.question,
        "scale": study.scale,
        **parts_as_json([(part.loaded.part, _part(part, chosen)) for part in parts]),
    }
    return json_text(document) + "\n"


def _part(part: ReportInput, chosen: Chosen) -> dict[str, Any]:
    claims = [{**claim.row(), "source": claim.source, "says": claim.says} for claim in part.analysis.claims]
    return {
        "run": asdict(part.run),
        "primary": part.loaded.study.primary,
        "baseline": part.loaded.baseline.name,
        "claims": claims,
        "contrasts": [_contrast(contrast) for contrast in chosen.contrasts(part.analysis.contrasts)],
        "invalid": part.analysis.invalid,
        "warnings": list(part.analysis.warnings),
    }


def _contrast(contrast: Contrast) -> dict[str, Any]:
    record = metric(contrast.metric)
    return {**asdict(contrast), "unit": record.unit, "compared_by": record.compared_by}
