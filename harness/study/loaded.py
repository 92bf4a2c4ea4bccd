"""A study that was read and checked. Planning, running and judging work on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.study.arms import Combination, arm_labels
from harness.study.study import Study
from harness.study.tuned import TunedArm
from harness.tasks.base import Task


@dataclass(frozen=True, kw_only=True)
class LoadedStudy:
    """A study at one scale, or one of its parts, which has its own arms, design and runs.

    `tasks` holds the resolved config of each arm under each condition, by their names. `source` is the text
    of the file, and `settings` come from the command line. `tuned` holds the results of tuning, once every
    trial of it has ended (`harness.study.planning.resolved`).
    """

    path: Path
    source: str
    scale: str
    study: Study
    arms: tuple[Combination, ...]
    conditions: tuple[Combination, ...]
    tasks: dict[tuple[str, str], Task]
    settings: tuple[str, ...] = ()
    tuned: tuple[TunedArm, ...] = ()

    @property
    def name(self) -> str:
        """The name of the study, without the name of the part."""
        return self.study.study.partition("/")[0]

    @property
    def part(self) -> str:
        """The name of the part. It is empty in a study without parts."""
        return self.study.study.partition("/")[2]

    @property
    def baseline(self) -> Combination:
        return self.arms[0]

    def label(self, arm: str) -> str:
        """A short name of an arm for people: `baseline`, or the factors in which it differs from it."""
        return self._labels.get(arm, arm)

    @cached_property
    def _labels(self) -> dict[str, str]:
        return arm_labels(self.study)
