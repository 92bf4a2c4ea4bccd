"""How arms, conditions and verdicts are labelled. Every table and figure uses the same labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.config import canonical_json
from harness.metrics import METRICS, Metric, unknown_metric
from harness.study.arms import Combination
from harness.study.loaded import LoadedStudy


@dataclass(frozen=True, kw_only=True)
class Badge:
    """A verdict for the eye and the ear: `tone` colours it, `mark` and `text` say it without colour."""

    text: str
    tone: str
    mark: str


@dataclass(frozen=True, kw_only=True)
class ArmName:
    """An arm in a table: `text`, and its whole name for the pointer where the text leaves some of it out."""

    text: str
    title: str = ""


MOST_LETTERS = 22
"""Of an arm's name in a figure."""

_BADGES = {
    "confirmed": ("good", "✓"),
    "better": ("good", "▲"),
    "refuted": ("bad", "✗"),
    "worse": ("bad", "▼"),
    "invalid": ("void", "⊘"),
    "identical": ("same", "="),
    "equivalent": ("same", "≈"),
    "undecided": ("open", "?"),
    "passed": ("good", "✓"),
    "failed": ("bad", "✗"),
}


def badge(verdict: str) -> Badge:
    tone, mark = _BADGES[verdict]
    return Badge(text=verdict, tone=tone, mark=mark)


def metric_of(name: str) -> Metric:
    """The metric's record; a stored name that this version no longer knows is shown plainly, without a unit."""
    return METRICS.get(name) or unknown_metric(name)


def arm_labels(loaded: LoadedStudy) -> dict[str, str]:
    """Arm → its name in figures: the levels in which it differs from the baseline, bare where one factor is
    compared.

    Names that would leave no room for the figure are shortened in the middle; no two arms have the same.
    """
    labels = []
    for arm in loaded.arms:
        changed = {f: name for f, name in arm.names.items() if name != loaded.baseline.names.get(f)}
        label = ", ".join(f"{factor}={name}" for factor, name in changed.items()) or "baseline"
        labels.append(next(iter(arm.names.values())) if len(loaded.study.compare) == 1 else label)
    return dict(zip((arm.name for arm in loaded.arms), short_labels(labels), strict=True))


def short_labels(labels: Sequence[str]) -> list[str]:
    """The labels as a figure has room for them: the long ones shortened in the middle, no two the same."""
    found: list[str] = []
    for label in labels:
        if len(label) > MOST_LETTERS:
            label = f"{label[: MOST_LETTERS // 2]}…{label[-MOST_LETTERS // 2 + 1 :]}"
        found.append(label if label not in found else f"{label} ({len(found) + 1})")
    return found


def arm_name(loaded: LoadedStudy, arm: str) -> ArmName:
    """As every table and sentence calls it."""
    label = loaded.label(arm)
    return ArmName(text=label, title="" if label == arm else arm)


def condition_title(names: Mapping[str, str]) -> str:
    """`new_tokens = 64`; the study without conditions has one, under which everything was measured."""
    return ", ".join(f"{factor} = {level}" for factor, level in names.items()) or "all trials"


def condition_key(condition: Combination | Mapping[str, str]) -> str:
    """The text under which the frame holds a condition."""
    return canonical_json(condition.names if isinstance(condition, Combination) else dict(condition))


def anchor(*parts: object) -> str:
    """An id for HTML: letters, digits and hyphens only."""
    return "-".join(re.sub(r"[^A-Za-z0-9]+", "-", str(part)).strip("-") for part in parts)
