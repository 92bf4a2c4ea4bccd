"""The form `formula`: a metric equals its closed form."""

from __future__ import annotations

from typing import ClassVar

from harness.study.checks.checker import StudyChecker
from harness.study.claims.base import Claim
from harness.study.reading.yaml_document import KeyPath


class FormulaClaim(Claim):
    """`metric` equals the closed form `formula`, another metric of the same trials, in every arm and under
    every condition.
    """

    exact: ClassVar[bool] = True

    formula: str
    """The metric that holds the value of the closed form."""

    metric: str
    """The measured metric, which must equal the formula."""

    also_holds: str | None = None
    """An invariant of the study that checks the formula in further cases."""

    def compares_values(self) -> bool:
        return False

    def check(self, checker: StudyChecker, path: KeyPath) -> None:
        checker.check_metric((*path, "metric"), self.metric, directed=False)
        checker.check_metric((*path, "formula"), self.formula, directed=False)
        if self.formula == self.metric:
            checker.fail((*path, "formula"), f"{path[-1]} compares {self.metric} with itself", value=True)
        checker.check_known(
            (*path, "also_holds"),
            self.also_holds,
            (*checker.study.invariants, None),
            "the study's `invariants` do not include",
        )

    def formula_metrics(self) -> tuple[str, str] | None:
        return self.metric, self.formula

    def metrics(self, primary: str) -> tuple[str, ...]:
        return self.metric, self.formula
