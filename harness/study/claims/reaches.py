"""The form `reaches`: an arm reaches a target loss sooner than another arm."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.metrics import Metric, PairedOver
from harness.study.checks.checker import StudyChecker
from harness.study.claims.arms import ConditionComparison
from harness.study.levels import Scalar
from harness.study.reading.yaml_document import KeyPath
from harness.study.schema import StudyBase


class ReachesClaim(ConditionComparison):
    """The arm reaches a loss of `reaches` sooner (or later) than the other arm, counted in updates or in
    seconds of training. A training that never reaches it takes infinitely long.

    The loss is averaged over `smoothed` updates before it is compared with the target. The target is fixed
    before the comparison: `tuned` is `target_factor` times the baseline's best loss in tuning.
    """

    reaches: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | Literal["tuned"]
    """The loss to reach, or `tuned`: the baseline's best loss in tuning."""

    target_factor: float = Field(
        default=1.0, gt=0.0, allow_inf_nan=False, exclude_if=partial(operator.eq, 1.0)
    )
    """With `tuned`, the target is the baseline's best loss times this number."""

    when: Literal["sooner", "later"] = "sooner"
    """Whether the arm reaches the target sooner or later than the other arm."""

    counted_in: Literal["updates", "seconds"] = "updates"
    """Whether the way to the target is counted in updates or in seconds of training."""

    metric: str = "loss"
    """The loss that is compared with the target."""

    smoothed: int = Field(default=10, gt=0)
    """The number of updates over which the loss is averaged first."""

    @model_validator(mode="after")
    def _factor_needs_a_tuned_target(self) -> Self:
        if self.target_factor != 1.0 and self.reaches != "tuned":
            raise ValueError("target_factor needs `reaches: tuned`; multiply the target itself instead")
        return self

    @property
    def target(self) -> float:
        """The loss to reach, NaN as long as tuning has not found it."""
        return math.nan if self.reaches == "tuned" else self.reaches

    def metrics(self, primary: str) -> tuple[str, ...]:
        return (self.metric, "update_seconds") if self.counted_in == "seconds" else (self.metric,)

    def check_metric(self, checker: StudyChecker, path: KeyPath) -> Metric:
        at = (*path, "metric")
        record = checker.check_metric(at, self.metric)
        if not record.is_loss:
            checker.fail(
                at, f"{path[-1]}: `reaches` needs a loss metric, and {record.name} is not one", value=True
            )
        tune = checker.study.design.tune
        if self.reaches == "tuned" and (tune is None or tune.by != self.metric):
            problem = f"tuning uses {tune.by}" if tune else "this design has no tuning"
            checker.fail(
                (*path, "reaches"),
                f"{path[-1]} takes its target for {self.metric} from tuning, but {problem}",
                hint="`metric` and `design.tune.by` must be the same",
                value=True,
            )
        return record

    def tested_metric(self, study: StudyBase) -> tuple[str, PairedOver, bool]:
        return f"{self.counted_in} to {self.metric}", "seeds", False

    def after_tuning(self, baseline_best: Callable[[Mapping[str, Scalar]], float]) -> Self:
        if self.reaches != "tuned" or not math.isfinite(best := baseline_best(self.at)):
            return self
        return self.model_copy(update={"reaches": best * self.target_factor, "target_factor": 1.0})
