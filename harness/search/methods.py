"""Samplers and pruners of Optuna, with every argument set: another version may have other defaults."""

from __future__ import annotations

import hashlib
import warnings

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.pruners import WilcoxonPruner as SignedRankPruner
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection

from harness.metrics import Metric
from harness.search.resumable import (
    ResumableCmaEs,
    ResumableGrid,
    ResumableHyperband,
    ResumableNsgaII,
    ResumableSequence,
)
from harness.study.search import (
    CmaEs,
    GaussianProcess,
    Grid,
    Hyperband,
    NsgaII,
    Pruner,
    QuasiRandom,
    RandomDraws,
    Sampler,
    Tpe,
    WilcoxonPruner,
)
from harness.study.search import MedianPruner as MedianConfig
from harness.study.space import Space

optuna.logging.set_verbosity(optuna.logging.WARNING)


def sampler(config: Sampler, space: Space, seed: int, number: int) -> BaseSampler:
    """The sampler that chooses the point with this number, which is the number of points that were asked
    before.

    The generator has a new seed for each point, so that a search that was interrupted asks the same points as
    one that was not. Only a grid and a sequence have one seed for all of them.
    """
    point_seed = _seed(seed, number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        match config:
            case Tpe():
                return TPESampler(
                    n_startup_trials=config.random,
                    n_ei_candidates=config.candidates,
                    multivariate=config.joint,
                    group=config.joint,
                    seed=point_seed,
                    constant_liar=False,
                )
            case GaussianProcess():
                return GPSampler(
                    seed=point_seed,
                    independent_sampler=RandomSampler(seed=point_seed),
                    n_startup_trials=config.random,
                    deterministic_objective=False,
                    warn_independent_sampling=False,
                )
            case CmaEs():
                return ResumableCmaEs(
                    number=number,
                    n_startup_trials=1,
                    independent_sampler=RandomSampler(seed=point_seed),
                    warn_independent_sampling=False,
                    seed=point_seed,
                    consider_pruned_trials=False,
                    popsize=config.population,
                    use_separable_cma=False,
                    with_margin=False,
                    lr_adapt=False,
                )
            case RandomDraws():
                return RandomSampler(seed=point_seed)
            case Grid():
                return ResumableGrid(space, seed)
            case QuasiRandom():
                return ResumableSequence(
                    number=number,
                    qmc_type=config.sequence,
                    scramble=True,
                    seed=seed,
                    independent_sampler=RandomSampler(seed=point_seed),
                    warn_asynchronous_seeding=False,
                    warn_independent_sampling=False,
                )
            case NsgaII():
                return ResumableNsgaII(
                    population_size=config.population,
                    mutation_prob=None,
                    crossover_prob=config.crossover,
                    swapping_prob=config.swapping,
                    seed=point_seed,
                )


def pruner(config: Pruner | None, most: int) -> BasePruner:
    """The pruner. `most` is the number of updates of a whole training."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        match config:
            case None:
                return NopPruner()
            case MedianConfig():
                return MedianPruner(
                    n_startup_trials=config.startup,
                    n_warmup_steps=config.warm_up,
                    interval_steps=1,
                    n_min_trials=1,
                )
            case Hyperband():
                return ResumableHyperband(
                    min_resource=config.least,
                    max_resource=max(most, config.least),
                    reduction_factor=config.reduction,
                    bootstrap_count=0,
                )
            case WilcoxonPruner():
                return SignedRankPruner(p_threshold=config.p, n_startup_steps=config.startup)


def _seed(seed: int, number: int) -> int:
    """A seed below 2³² for the point with this number."""
    return int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:4], "big")


def direction(objective: Metric) -> StudyDirection:
    """Whether smaller or larger values of an objective are better."""
    return StudyDirection.MINIMIZE if objective.better == "lower" else StudyDirection.MAXIMIZE


def version() -> str:
    """The version of Optuna, which is a part of a search's identity."""
    return optuna.__version__
