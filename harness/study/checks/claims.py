"""The checks of claims: what a claim names must exist, and the design must be able to decide it."""

from __future__ import annotations

from collections.abc import Mapping

from harness.metrics import METRICS
from harness.study.checks.checker import StudyChecker
from harness.study.claims.base import Claim


def check_claims(checker: StudyChecker, claims: Mapping[str, Claim]) -> None:
    """Raises StudyError at the first claim that is wrong, or if no comparison of the primary metric could
    ever be significant among so many.
    """
    for name, claim in claims.items():
        claim.check(checker, ("claims", name))
    study = checker.study
    record = METRICS[study.primary]
    if study.design.exploratory or record.exact:
        return
    contrasts = (
        claim.named_contrast(study.primary, checker.arms, checker.conditions) for claim in claims.values()
    )
    named = sum(contrast is not None and contrast.metric == study.primary for contrast in contrasts)
    tune = study.design.tune
    measured = tune.finalists if tune and tune.finalists else len(checker.arms)
    size = (measured - 1) * len(checker.conditions) - named
    subject = f"{size} comparison{'s' if size > 1 else ''} of {study.primary}"
    checker.check_pairs(record.paired_over, size, subject)
