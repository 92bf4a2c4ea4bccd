"""A study that was read and checked: what planning, running and judging work on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.study.arms import Combination, all_arms
from harness.study.study import Study
from harness.study.tuned import TunedArm
from harness.tasks.base import Task


@dataclass(frozen=True, kw_only=True)
class LoadedStudy:
    """A study at one scale, or one of its parts: a comparison of its own, with its own arms, design and runs.

    `tasks` holds the resolved config of each arm under each condition, by their names; `part` is empty in a
    study without parts. `tuned` tells how the settings of arms were found, once they have been
    (`harness.study.planning.resolved`).
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
        """The study's, whatever its part is called."""
        return self.study.study.partition("/")[0]

    @property
    def part(self) -> str:
        return self.study.study.partition("/")[2]

    @property
    def baseline(self) -> Combination:
        return self.arms[0]

    def label(self, arm: str) -> str:
        """The arm with this name, for people: of several factors those alone in which it differs from the
        baseline, which is called so.
        """
        return self._labels.get(arm, arm)

    @cached_property
    def _labels(self) -> dict[str, str]:
        """Of arms that tuning left behind, too."""
        if len(self.study.compare) == 1:
            return {}
        default = self.baseline.names.items()
        found = {}
        for arm in all_arms(self.study):
            changed = [
                f"{factor}={level}" for factor, level in arm.names.items() if (factor, level) not in default
            ]
            found[arm.name] = ", ".join(changed) or arm.name
        return {**found, self.baseline.name: "baseline"}
