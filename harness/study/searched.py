"""A search that was read and checked: the arm with which it begins, its space, and what its points and its
proof are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.config import content
from harness.metrics import Metric, metric
from harness.study.arms import Combination
from harness.study.loaded import LoadedStudy
from harness.study.search import StudySearch
from harness.study.seeds import FIRST_SEARCH_SEED
from harness.study.space import Point, Space
from harness.tasks.base import Task
from harness.trial.spec import TrialSpec

SEARCH, PROOF = "search", "proof"
"""How the study of a search and the study of its proof are named: after the study, or after its part."""


@dataclass(frozen=True, kw_only=True)
class LoadedSearch:
    """The search of a study, or of one of its parts.

    `loaded` is the study that is recorded with the points of the search. The search begins with `arm` under
    `condition`, whose task is `begin`. `start` is this arm as a point, or None if the space does not contain
    it.

    `task_of` gives the task of a point, and raises StudyError if its settings do not go together. `proof_of`
    gives the study that compares named points with `begin`.
    """

    loaded: LoadedStudy
    search: StudySearch
    space: Space
    arm: Combination
    condition: Combination
    begin: Task
    start: Point | None
    task_of: Callable[[Point], Task] = field(repr=False)
    proof_of: Callable[[Mapping[str, Point]], LoadedStudy] = field(repr=False)

    @property
    def objectives(self) -> tuple[Metric, ...]:
        return tuple(map(metric, self.search.objectives(self.loaded.study.primary)))

    def trials_of(self, task: Task, names: Mapping[str, str]) -> tuple[TrialSpec, ...]:
        """The trials of a point with this task and these values, one per seed."""
        return tuple(
            TrialSpec(
                purpose="search",
                task=task.name,
                arm=self.arm.name,
                condition=dict(names),
                seed=FIRST_SEARCH_SEED + index,
                round=0,
                config=task.plain(),
            )
            for index in range(self.search.seeds)
        )

    def measured_content(self) -> dict[str, Any]:
        """Everything that can change which points are asked, or what their values are. Neither the number of
        points nor what is proven afterwards counts, so that a search can go on.
        """
        return measured_content(self.loaded.study.study, self.begin, self.space, self.search, self.objectives)


def measured_content(
    name: str, begin: Task, space: Space, search: StudySearch, objectives: Sequence[Metric]
) -> dict[str, Any]:
    """That of a search with this name, which begins with this task."""
    return {
        "search": name,
        "task": content(begin),
        "space": {
            parameter: {"kind": space.kinds[parameter], **content(values)}
            for parameter, values in space.parameters.items()
        },
        "objectives": [one.name for one in objectives],
        "sampler": search.sampler.plain(),
        "pruner": search.pruner and search.pruner.plain(),
        "seeds": search.seeds,
        "seed": search.seed,
    }


def search_name(study: str, kind: str) -> str:
    """The name of the study of a search or of a proof: `optimizers/search`, or `kv_cache/cost_search` for a
    part.
    """
    name, _, part = study.partition("/")
    return f"{name}/{part}_{kind}" if part else f"{name}/{kind}"


def search_kind(study: str) -> str:
    """`search` or `proof` if the study with this name is one (`search_name`), else empty."""
    part = study.partition("/")[2]
    return next((kind for kind in (SEARCH, PROOF) if part == kind or part.endswith(f"_{kind}")), "")
