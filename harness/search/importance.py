"""How much each parameter decides whether a point of a search is among the best."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from harness.metrics import Metric
from harness.search.findings import SearchFindings
from harness.search.points import SearchedPoint, worst_first

if TYPE_CHECKING:
    import optuna

BEST_SHARE = 0.25
"""The best quarter of the points is compared with all of them."""

FEW_POINTS = 20
"""With fewer points the best quarter has fewer than five, which is too few for a density."""


def importance(findings: SearchFindings, objective: Metric) -> dict[str, float] | None:
    """The share of each parameter, in the order of the space; the shares add up to 1. None if it cannot be
    computed: there is one point with a value, or no point is better than the others.

    The densities of a parameter's values among the best quarter of the points and among all points are
    compared (PED-ANOVA, arXiv 2304.10255). Only the order of the points counts, so points that diverged count
    as the worst. A parameter that exists only at some points is compared among those, and these points with
    the others (arXiv 2601.20800). Parameters that no such point has are left out.
    """
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    known = ranked_points(findings)
    names = [name for name in findings.space.parameters if any(name in point.names for point in known)]
    if len(known) < 2 or not names:
        return None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    evaluator = PedAnovaImportanceEvaluator(
        target_quantile=BEST_SHARE, region_quantile=1.0, evaluate_on_local=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the report says itself that points are few
        study = _study(findings, objective, known)
        shares = get_param_importances(study, evaluator=evaluator, params=names, normalize=False)
    total = sum(shares[name] for name in names)
    return {name: shares[name] / total for name in names} if total > 0 else None


def ranked_points(findings: SearchFindings) -> tuple[SearchedPoint, ...]:
    """The points of the space that have a value, or diverged. The arm with which the search began is one of
    them if the space contains it.
    """
    return tuple(point for point in findings.points if point.counts and point.names)


def _study(findings: SearchFindings, objective: Metric, known: tuple[SearchedPoint, ...]) -> optuna.Study:
    """A study of Optuna in memory, in which the value of a point is its rank: 0 is the best."""
    import optuna

    from harness.search.distributions import distributions_at, params_of

    costs = [worst_first(objective) * point.median(objective) for point in known]
    ranks = {cost: rank for rank, cost in enumerate(sorted(set(costs)))}
    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.RandomSampler(seed=0))
    for point, cost in zip(known, costs, strict=True):
        values = findings.space.read(point.names)
        study.add_trial(
            optuna.trial.create_trial(
                value=float(ranks[cost]),
                params=params_of(findings.space, values),
                distributions=distributions_at(findings.space, values),
            )
        )
    return study
