"""A study with its claims; the results of tuning; and a study that was read and checked, on which planning,
running and judging work.
"""

from __future__ import annotations

import operator
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from pydantic import Field

from harness.config import content, digest
from harness.programs.source_tree import SourceTree
from harness.study.arms import Combination
from harness.study.claims import AnyClaim
from harness.study.levels import Scalar
from harness.study.names import Names
from harness.study.schema import StudyBase
from harness.study.search import StudySearch
from harness.tasks.base import Task


class Study(StudyBase):
    """One scale of a study, or of one of its parts, with every setting resolved."""

    claims: dict[str, AnyClaim] = Field(default_factory=dict)
    """Statements that the data can confirm or refute, by an id that you choose. `harness describe claims`
    lists their forms.
    """

    search: StudySearch | None = Field(default=None, exclude_if=operator.not_)
    """A search for better settings, with the proof of what it finds."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A candidate and its results: one value per seed, which is the worst possible one if it diverged."""

    settings: Mapping[str, Scalar]
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True, kw_only=True)
class TunedArm:
    """The candidates of an arm under a condition, in the order of the grid. `edges` are the settings whose
    best value is the smallest or the largest that was tried. `measured` says whether the arm is a finalist.
    """

    arm: str
    condition: Mapping[str, str]
    tried: tuple[Tried, ...]
    chosen: Tried
    edges: tuple[str, ...]
    measured: bool = True


@dataclass(frozen=True, kw_only=True)
class LoadedStudy:
    """A study at one scale, or one of its parts, which has its own arms, design and runs.

    `tasks` holds the resolved config of each arm under each condition, by their names. `source` is the text
    of the file, and `settings` come from the command line. `programs` are the files of programs that its arms
    run, by their digests. `tuned` holds the results of tuning, once every trial of it has ended
    (`harness.study.planning.resolved`). `draw` and `training_draw` are those of the run
    (`harness.study.seeds`).
    """

    path: Path
    source: str
    scale: str
    study: Study
    arms: tuple[Combination, ...]
    conditions: tuple[Combination, ...]
    tasks: dict[tuple[str, str], Task]
    settings: tuple[str, ...] = ()
    programs: Mapping[str, SourceTree] = field(default_factory=dict)
    tuned: tuple[TunedArm, ...] = ()
    draw: int = 1
    training_draw: int = 1

    def drawn(self, draw: int, training_draw: int) -> LoadedStudy:
        """The study with the seeds of a run."""
        return replace(self, draw=draw, training_draw=training_draw)

    @cached_property
    def task_digests(self) -> dict[tuple[str, str], str]:
        """The id of the content of each task."""
        return {names: digest(content(task)) for names, task in self.tasks.items()}

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
        return self.names.arms.get(arm, arm)

    def at(self, condition: Mapping[str, str]) -> str:
        """` at new tokens 64`, with a space before it; empty without conditions."""
        return self.names.at(condition)

    @cached_property
    def names(self) -> Names:
        """How the study names things for people."""
        return Names(self.study)
