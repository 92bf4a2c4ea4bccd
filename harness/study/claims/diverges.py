"""The form `diverges`: the trainings of an arm diverge on fewer or on more seeds."""

from __future__ import annotations

from typing import Literal

from harness.metrics import METRICS, Metric, PairedOver
from harness.study.checks.checker import StudyChecker
from harness.study.claims.arms import ConditionComparison
from harness.study.reading.yaml_document import KeyPath
from harness.study.schema import StudyBase


class DivergesClaim(ConditionComparison):
    """The arm diverges on fewer (or on more) seeds than the other arm. Seeds are paired (McNemar's exact
    test).
    """

    diverges: Literal["less", "more"]
    """Whether the arm diverges on fewer or on more seeds than the other arm."""

    def metrics(self, primary: str) -> tuple[str, ...]:
        return ("loss",)

    def compares_values(self) -> bool:
        return False  # a loss is judged by the chance of its own tokenizer

    def tested_metric(self, study: StudyBase) -> tuple[str, PairedOver, bool]:
        return "divergence", "seeds", False

    def check_metric(self, checker: StudyChecker, path: KeyPath) -> Metric:
        checker.check_known(
            path,
            "loss",
            checker.metrics,
            f"nothing can diverge: task {checker.study.task!r} does not produce the metric",
        )
        return METRICS["loss"]
