"""How arms, conditions and verdicts are labelled. Every table and figure uses the same labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.config import canonical_json
from harness.metrics import Metric, known_metrics, unknown_metric
from harness.store.rows import TrialRow
from harness.study.arms import Combination
from harness.study.loaded import LoadedStudy
from harness.study.names import Names
from harness.study.space import Space
from harness.visible import visible


@dataclass(frozen=True, kw_only=True)
class Badge:
    """A verdict. `tone` gives it a colour; `mark` and `text` show it without colour."""

    text: str
    tone: str
    mark: str


@dataclass(frozen=True, kw_only=True)
class ArmName:
    """An arm in a table: `text`, and its full name as a tooltip if the text is shorter."""

    text: str
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class NumberCell:
    """A number in a table. `value` has every digit, `hint` says what it rests on, and `samples` is the anchor
    of what it was computed from.
    """

    text: str
    value: str
    hint: str = ""
    samples: str = ""


MOST_LETTERS = 34
"""The longest label of an arm in a figure."""

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
    """The metric's record. A stored name that this version does not know is shown without a unit."""
    return known_metrics().get(name) or unknown_metric(name)


def arm_labels(loaded: LoadedStudy) -> dict[str, str]:
    """Arm → its label in figures: the levels in which it differs from the baseline. If only one factor is
    compared, the label is the level alone, and `legend_title` names the factor.

    Long labels are shortened in the middle. No two arms have the same label.
    """
    names = loaded.names
    labels = [
        ", ".join(names.bare_level(factor, level) for factor, level in arm.names.items())
        if len(loaded.study.compare) == 1
        else loaded.label(arm.name)
        for arm in loaded.arms
    ]
    return dict(zip((arm.name for arm in loaded.arms), short_labels(map(visible, labels)), strict=True))


def legend_title(loaded: LoadedStudy) -> str:
    """What the labels of the arms in a figure are: the compared factor. Empty if there are several, which the
    labels name.
    """
    return ", ".join(map(loaded.names.titled, loaded.study.compare)) if len(loaded.study.compare) == 1 else ""


def search_names(loaded: LoadedStudy, space: Space) -> Names:
    """The names of a study that proves a search, with those of the parameters that were searched."""
    return Names(loaded.study, more=tuple(space.parameters))


def short_labels(labels: Iterable[str]) -> list[str]:
    """The labels, with long ones shortened in the middle and no two equal."""
    shortened: list[str] = []
    for label in labels:
        if len(label) > MOST_LETTERS:
            label = f"{label[: MOST_LETTERS // 2]}…{label[-MOST_LETTERS // 2 + 1 :]}"
        shortened.append(label if label not in shortened else f"{label} ({len(shortened) + 1})")
    return shortened


def arm_name(loaded: LoadedStudy, arm: str) -> ArmName:
    """The arm's name in tables and sentences."""
    label = loaded.label(arm)
    return ArmName(text=label, title="" if label == arm else arm)


def trial_title(loaded: LoadedStudy, row: TrialRow) -> str:
    """`cache=dynamic at new tokens 16`, or `check cache-parity cache=dynamic` before the measurements."""
    return loaded.names.trial(_kind(row), row.arm, row.condition)


def attempt_title(loaded: LoadedStudy, row: TrialRow) -> str:
    """`cache=dynamic at new tokens 16, seed 0 round 3`."""
    return loaded.names.attempt(_kind(row), row.arm, row.condition, row.seed, row.round)


def _kind(row: TrialRow) -> Iterable[str]:
    return () if row.purpose == "measure" else dict.fromkeys((row.purpose, row.task))


def condition_title(loaded: LoadedStudy, names: Mapping[str, str]) -> str:
    """`new tokens = 64`, or `all trials` in a study without conditions."""
    return loaded.names.condition(names)


def condition_key(condition: Combination | Mapping[str, str]) -> str:
    """The text that identifies a condition in the frame."""
    return canonical_json(condition.names if isinstance(condition, Combination) else dict(condition))


def anchor(*parts: object) -> str:
    """An HTML id that has only letters, digits and hyphens."""
    return "-".join(re.sub(r"[^A-Za-z0-9]+", "-", str(part)).strip("-") for part in parts)
