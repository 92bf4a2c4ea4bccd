"""What all parts of a study have in common, once per page: environment, provenance, the study file, and how
to repeat the study.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.inputs import ReportInput
from harness.study.levels import Level
from harness.wording import words

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class SurroundingsView:
    """`differences` are the facts that are not the same for all parts: a name, and the text of each part.
    `parts` are the names of the parts if there are differences. `one_row` repeats a single comparison; it is
    empty if no options of the command can choose one.
    """

    environment: Facts
    provenance: Facts
    parts: tuple[str, ...]
    differences: tuple[tuple[str, tuple[str, ...]], ...]
    yaml_name: str
    yaml: str
    command: str
    row: str
    one_row: str


def surroundings_view(parts: Sequence[ReportInput]) -> SurroundingsView:
    first = parts[0]
    environments = [dict(flat(part.environment)) for part in parts]
    provenances = [dict(flat(part.provenance)) for part in parts]
    differences = (*different(environments), *different(provenances))
    row, one_row = _one_row(parts)
    return SurroundingsView(
        environment=_common(environments),
        provenance=_common(provenances),
        parts=tuple(part.loaded.part for part in parts) if differences else (),
        differences=differences,
        yaml_name=first.loaded.path.name,
        yaml=first.loaded.source,
        command=first.command,
        row=row,
        one_row=one_row,
    )


def _common(several: Sequence[Mapping[str, str]]) -> Facts:
    """The facts on which all agree."""
    return tuple(
        (name, text) for name, text in several[0].items() if all(one.get(name) == text for one in several)
    )


def different(several: Sequence[Mapping[str, str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The facts that are not the same for all: a name, and the text of each."""
    names = dict.fromkeys(name for one in several for name in one)
    rows = ((name, tuple(one.get(name, "–") for one in several)) for name in names)
    return tuple((name, texts) for name, texts in rows if len(set(texts)) > 1)


def _one_row(parts: Sequence[ReportInput]) -> tuple[str, str]:
    """The first comparison in words, and the command that measures it again: without the other levels, and
    without the claims, which need them. Empty if other factors depend on the levels that are left.
    """
    report = parts[0]
    study, options = report.loaded.study, report.loaded.settings
    simple = not (report.loaded.part or study.when or study.design.exclude or study.design.tune)
    if not simple or len(study.compare) != 1 or report.search is not None or report.run.plant:
        return "", ""
    ((factor, levels),) = study.compare.items()
    chosen = {name: list(values[-1:]) for name, values in study.across.items()}
    settings = [f"compare={_flow({factor: levels[:2]})}"]
    if chosen:
        settings.append(f"across={_flow(chosen)}")
    if study.claims:
        settings.append("claims={}")
    command = ["harness", "run", str(report.loaded.path), "--scale", report.run.scale, "--fresh"]
    command += [word for setting in (*options, *settings) for word in ("--set", setting)]
    at = report.loaded.conditions[-1].names
    condition = ", ".join(f"{words(name)} {level}" for name, level in at.items())
    row = f"{report.loaded.label(report.loaded.arms[1].name)} against the baseline"
    return f"{row}, {condition}" if condition else row, shlex.join(command)


def _flow(factors: Mapping[str, Sequence[Level]]) -> str:
    """Factors with their levels as one line of YAML."""
    return json.dumps({name: list(levels) for name, levels in factors.items()}, ensure_ascii=False)


def flat(facts: Mapping[str, Any], prefix: str = "") -> Facts:
    """Nested facts as (dotted name, text), in the given order."""
    rows: list[tuple[str, str]] = []
    for key, value in facts.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += flat(value, f"{name}.")
        else:
            rows.append((name, _text(value)))
    return tuple(rows)


def _text(value: object) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return str(value)
