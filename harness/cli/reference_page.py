"""The page docs/reference.md: every setting of a study, every metric and every invariant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.cli.describing import claim_rows, invariant_rows, metric_rows, task_rows
from harness.study.claims import FORMS
from harness.study.describing.described_schema import Definitions
from harness.study.describing.find import study_setting
from harness.study.describing.settings import DescribedSetting, tag_of_group
from harness.study.describing.study_schema import study_definitions
from harness.study.describing.task_schema import task_definitions, task_setting
from harness.study.loaded import Study
from harness.tasks.registry import TASKS

COMMAND = "harness describe --markdown > docs/reference.md"

_INTRODUCTION = f"""# Every setting

Every key of a study, every setting of a task, every metric and every invariant. The descriptions are those of
the code; `{COMMAND}` writes this page.

A setting without a default is required, unless another key stands in its place. A group of settings links to
its own table. A group that has several kinds is chosen by the key `kind`, as in
`optimizer: {{kind: adamw, lr: 2e-3}}`.
"""

_WORDS = ("–", "required", "see below")
"""What stands in place of a default."""


def reference_page() -> str:
    """The page as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    names = _names()
    yield from _heading("A study", "The keys of a study file.")
    yield from _settings(study_setting(), names)
    yield from _heading("Tasks", "What stands under `base`. A recipe has the settings of the task `train`.")
    for row in task_rows():
        setting = task_setting(TASKS[row["task"]], task_definitions())
        yield from _heading(f"Task {row['task']}", row["description"], level=3)
        yield from _settings(setting, names)
    yield from _heading("Claims", "A claim has exactly one of these keys, which states it.")
    for row in claim_rows():
        yield from _heading(f"Claim {row['claim']}", row["description"], level=3)
        group = study_definitions()[FORMS[row["claim"]].__name__]
        yield from _settings(_group(group), names)
    yield from _heading("Groups of settings", "In the order of their names.")
    shown = {task.__name__ for task in TASKS.values()} | {form.__name__ for form in FORMS.values()}
    for name, group in sorted(_definitions().items()):
        if name not in shown and name != Study.__name__ and "properties" in group:
            yield from _heading(name, _kind_text(group) + group.get("description", ""), level=3)
            yield from _settings(_group(group), names)
    yield from _heading("Metrics", "A study may declare a margin for a metric under `margins`.")
    yield from _table(list(metric_rows()))
    yield from _heading("Invariants", "Properties that must hold before anything is measured.")
    yield from _table(list(invariant_rows()))


def _kind_text(group: dict[str, Any]) -> str:
    tag = tag_of_group(group)
    return f"`kind: {tag}`. " if tag is not None else ""


def _group(group: dict[str, Any]) -> DescribedSetting:
    return DescribedSetting(keys=(), path=(), schema=group, required=True, definitions=_definitions())


def _definitions() -> Definitions:
    return {**study_definitions(), **task_definitions()}


def _names() -> dict[str, str]:
    """The heading of each group of settings, by what its schema says."""
    headings = {task.__name__: f"task-{name}" for name, task in TASKS.items()}
    headings |= {form.__name__: f"claim-{name}" for name, form in FORMS.items()}
    return {str(group): headings.get(name, name.lower()) for name, group in _definitions().items()}


def _heading(title: str, text: str, level: int = 2) -> Iterator[str]:
    yield f"{'#' * level} {title}\n"
    if text:
        yield f"{text}\n"


def _settings(setting: DescribedSetting, names: dict[str, str]) -> Iterator[str]:
    def link(group: Mapping[str, Any]) -> str:
        return f"[{tag_of_group(group) or 'settings'}](#{names[str(group)]})"

    rows = [
        {
            "key": f"`{inner.keys[-1]}`",
            "type": inner.type_with(link),
            "default": inner.default if inner.default in _WORDS else f"`{inner.default}`",
            "bounds": inner.bounds or "–",
            "description": inner.description,
        }
        for inner in setting.inner()
    ]
    yield from _table(rows) if rows else ("It has no settings.\n",)


def _table(rows: Sequence[dict[str, Any]]) -> Iterable[str]:
    columns = list(rows[0])
    yield "| " + " | ".join(column.replace("_", " ") for column in columns) + " |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(_cell(str(row[column])) for column in columns) + " |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
