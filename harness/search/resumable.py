"""Optuna's methods, changed so that they choose by the points before and by nothing else.

Some of Optuna's samplers number their draws by notes on trials, or by the numbers of trials. A trial that was
killed before it had a point leaves such notes and uses up a number, and tables that were made again have no
notes. Here a draw is numbered by the points that were asked before it, so a search that was interrupted asks
the same points as one that was not.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.pruners import HyperbandPruner
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, QMCSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from harness.config import canonical_json
from harness.search.distributions import params_of, values_of
from harness.study.space import Point, Space

NUMBER = "number"
"""The note on a trial that says how many points were asked before it."""


class ResumableGrid(BaseSampler):
    """Each point of a space once, in an order that `seed` decides. Points that a person named before are not
    asked again.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._points = list(space.points())
        random.Random(seed).shuffle(self._points)
        self._chosen: Point | None = None

    def next_point(self, study: Study) -> Point | None:
        """The first point that was not asked, or None if there is none left."""
        # Not study.get_trials: with the hyperband pruner, a sampler sees only the trials of one bracket.
        trials = study._storage.get_all_trials(study._study_id, deepcopy=False)
        asked = {self._key(values_of(self._space, trial.params)) for trial in trials}
        return next((point for point in self._points if self._key(point) not in asked), None)

    def _key(self, point: Point) -> str:
        return canonical_json(self._space.names(point))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._chosen = self.next_point(study)

    def infer_relative_search_space(
        self,
        study: Study,
        trial: FrozenTrial,
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: Mapping[str, BaseDistribution],
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        assert self._chosen is not None
        return params_of(self._space, self._chosen)[param_name]


class ResumableSequence(QMCSampler):
    """A quasi-random sequence, of which each draw has the number of its point."""

    def __init__(self, *, number: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._number = number

    def _find_sample_id(self, study: Study, search_space: Mapping[str, BaseDistribution]) -> int:
        return max(0, self._number - 1)  # the first point is not of the sequence


class ResumableCmaEs(CmaEsSampler):
    """CMA-ES, which draws by the number of the point. It keeps its distribution in notes on trials, so it
    begins anew if Optuna's tables are lost.
    """

    def __init__(self, *, number: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._number = number

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        numbered = copy.copy(trial)
        numbered.number = self._number
        return super().sample_relative(study, numbered, search_space)


class ResumableNsgaII(NSGAIISampler):
    """NSGA-II, whose generations are the complete points in their order."""

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
        return len(_complete(study)) // self._size

    def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        return _complete(study)[generation * self._size : (generation + 1) * self._size]

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        if generation == 0:
            return []
        return sorted(self.select_parent(study, generation), key=lambda trial: trial.number)

    @property
    def _size(self) -> int:
        assert self.population_size is not None
        return self.population_size


def _complete(study: Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


class ResumableHyperband(HyperbandPruner):
    """Hyperband, which puts points into brackets by their numbers and not by those of trials."""

    def _get_bracket_id(self, study: Study, trial: FrozenTrial) -> int:
        numbered = copy.copy(trial)
        numbered.number = trial.user_attrs.get(NUMBER, trial.number)
        return super()._get_bracket_id(study, numbered)
