"""What a claim declares, and its digest: the statement, the metrics with their margins, and the content of
the arms and conditions that it is about.

Labels, sources, words, the id of the claim and the name of the study do not count. So a claim that is copied
or renamed is the same claim, and a claim whose margin, region, metric or arm changes is another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.config import content, digest
from harness.metrics import metric
from harness.study.arms import Combination, named_arm
from harness.study.claims.base import Claim
from harness.study.loaded import LoadedStudy

PREFIX = "c1-"
"""Of the digests of claims and margins."""

_WORDS = frozenset({"source", "says", "because", "exploratory"})
_NAMES = frozenset({"level", "all_of", "any_of", "against", "at", "metric"})


def claim_digest(loaded: LoadedStudy, claim: Claim) -> str:
    """The id of what a claim declares. `loaded` is the study before tuning."""
    return declared_digest(claim_content(loaded, claim))


def claim_content(loaded: LoadedStudy, claim: Claim) -> dict[str, Any]:
    """What a claim of a study declares, as plain data: settings at their defaults do not enter it, and the
    tasks of its arms enter as digests.
    """
    study, tune = loaded.study, loaded.study.design.tune
    names = claim.metrics(study.primary)
    conditions = claim.compared_conditions(loaded.conditions)
    against: dict[str, Any] | None = getattr(claim, "against", None)
    other = None if against is None else named_arm(loaded.arms, against)
    declared: dict[str, Any] = {
        "form": claim.form(),
        "statement": {name: value for name, value in content(claim).items() if name not in _WORDS | _NAMES},
        "margins": {name: study.margin(metric(name)) for name in names},
        "arms": sorted(
            _tasks(loaded, arm, conditions) for arm in claim.compared_arms(loaded.arms) if arm is not other
        ),
    }
    metrics = {name: study.metrics[name].content() for name in names if name in study.metrics}
    if metrics:
        declared["metrics"] = metrics
    if other is not None:
        declared["against"] = _tasks(loaded, other, conditions)
    if getattr(claim, "any_of", None) is not None:
        declared["needed"] = "any"
    if hasattr(claim, "over"):
        declared["levels"] = [condition.name for condition in conditions]
    if tune is not None:
        declared["tune"] = {key: value for key, value in content(tune).items() if key != "finalists"}
    if study.design.exploratory or claim.exploratory is not None:
        declared["exploratory"] = True
    return declared


def margin_contents(loaded: LoadedStudy) -> dict[str, dict[str, Any]]:
    """What a study declares about its contrasts: the margin of each metric that needs one, by the metric."""
    study = loaded.study
    return {
        name: {
            "form": "margin",
            "study": study.study,
            "metric": name,
            "margin": study.margin(metric(name)),
            "exploratory": study.design.exploratory,
        }
        for name in (*next(iter(loaded.tasks.values())).metrics, *study.metrics)
        if not metric(name).exact and metric(name).better != "neither"
    }


def declared_digest(declared: Mapping[str, Any]) -> str:
    """The id of a `claim_content` or of one of the `margin_contents`."""
    return PREFIX + digest(declared)


def _tasks(loaded: LoadedStudy, arm: Combination, conditions: tuple[Combination, ...]) -> list[str]:
    return [loaded.task_digests[arm.name, condition.name] for condition in conditions]
