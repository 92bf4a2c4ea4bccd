"""`harness describe`: what a study may say, from every setting to the metrics that a task records."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from harness.cli.console import CommandOutput
from harness.invariants.registry import INVARIANTS
from harness.metrics import METRICS, Metric
from harness.study.claims import FORMS
from harness.study.describing.field_texts import class_text
from harness.study.describing.find import FoundSetting, find_settings, study_setting
from harness.study.describing.settings import DescribedSetting
from harness.study.describing.task_schema import invariants_of
from harness.tasks.registry import TASKS

_SETTING_COLUMNS = ("setting", "type", "default", "bounds", "description")


def show_description(what: str | None, output: CommandOutput) -> None:
    """Describe the keys of a study, or a list of parts, or the settings with a path.

    Raises InputError with a suggestion if there is no such setting.
    """
    if what is None:
        rows = [_setting_row(setting) for setting in study_setting().inner()]
        output.table(rows, _SETTING_COLUMNS)
        output.note(f"`harness describe {'|'.join([*_LISTS, *_SHORT, 'PATH'])}` says more")
    elif what in _LISTS:
        rows = list(_LISTS[what]())
        output.table(rows, list(rows[0]))
    else:
        _show_settings(find_settings(_SHORT.get(what, what)), output)


def _show_settings(matches: list[FoundSetting], output: CommandOutput) -> None:
    if output.json:
        output.data([_setting_data(one, deep=output.verbose) for one in matches])
        return
    for number, one in enumerate(matches):
        setting = one.setting
        tasks = f" (task {', '.join(one.tasks)})" if one.tasks else ""
        about = [f"{name} {text}" for name, text in _facts(setting).items() if text not in ("", "–")]
        output.lines(("" if number == 0 else "\n") + setting.name + tasks)
        output.line("  " + "; ".join(about))
        if setting.description:
            output.line("  " + setting.description)
        rows = [_setting_row(inner) for inner in _inner(setting, deep=output.verbose)]
        if rows:
            output.table(rows, _SETTING_COLUMNS)


def _inner(setting: DescribedSetting, *, deep: bool) -> Iterable[DescribedSetting]:
    return setting.all_inside() if deep else setting.inner()


def _facts(setting: DescribedSetting) -> dict[str, str]:
    return {"type": setting.type.replace("`", ""), "default": setting.default, "bounds": setting.bounds}


def _setting_row(setting: DescribedSetting) -> dict[str, Any]:
    facts = {name: text or "–" for name, text in _facts(setting).items()}
    return {"setting": setting.name, **facts, "description": setting.description}


def _setting_data(match: FoundSetting, *, deep: bool) -> dict[str, Any]:
    inner = _inner(match.setting, deep=deep)
    row = _setting_row(match.setting)
    return {**row, "tasks": list(match.tasks), "settings": [_setting_row(setting) for setting in inner]}


def task_rows() -> Iterable[dict[str, Any]]:
    """Every task with what it does."""
    for name, task in sorted(TASKS.items()):
        yield {"task": name, "description": class_text(task)}


def metric_rows() -> Iterable[dict[str, Any]]:
    """Every metric with its unit, how arms are compared on it, and the tasks that record it."""
    recorded = {name: set(task.recorded()) for name, task in sorted(TASKS.items())}
    for name, record in sorted(METRICS.items()):
        yield {
            "metric": name,
            "unit": record.unit,
            "better": record.better,
            "compared_by": record.compared_by,
            "paired_over": record.paired_over,
            "margin": _margin(record),
            "tasks": ", ".join(task for task, names in recorded.items() if name in names),
            "description": record.summary,
        }


def _margin(record: Metric) -> str:
    """The margin that counts without another one in the study."""
    if not record.margin:
        return "–"
    points = record.margin_in_points or record.compared_by == "differences"
    return f"{record.margin:g} {record.unit}".rstrip() if points else f"{100 * record.margin:g} %"


def claim_rows() -> Iterable[dict[str, Any]]:
    """Every form of claim: the key that states it, and when it is confirmed."""
    for form, claim in sorted(FORMS.items()):
        yield {"claim": form, "description": class_text(claim)}


def invariant_rows() -> Iterable[dict[str, Any]]:
    """Every invariant with its statement, and the tasks whose arms it can be checked on."""
    by_task = {name: invariants_of(task) for name, task in sorted(TASKS.items())}
    for name, invariant in sorted(INVARIANTS.items()):
        yield {
            "invariant": name,
            "tasks": ", ".join(task for task, names in by_task.items() if name in names),
            "description": " ".join(inspect.cleandoc(invariant.statement).split()),
        }


_SHORT = {"model": "train.model"}
"""Paths that have a shorter name."""

_LISTS: dict[str, Callable[[], Iterable[dict[str, Any]]]] = {
    "task": task_rows,
    "metrics": metric_rows,
    "claims": claim_rows,
    "invariants": invariant_rows,
}
