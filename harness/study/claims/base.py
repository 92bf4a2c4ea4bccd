"""What every form of claim shares, and what a study asks of it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import ClassVar, NamedTuple, Self

from pydantic import Field

from harness.config import Config
from harness.metrics import PairedOver
from harness.study.arms import Combination, named_condition
from harness.study.checks.checker import StudyChecker
from harness.study.levels import Scalar, level_name
from harness.study.reading.yaml_document import KeyPath
from harness.study.schema import StudyBase


class NamedContrast(NamedTuple):
    """A contrast with the baseline that a claim is about."""

    metric: str
    arm: Combination
    condition: Combination


class Tested(NamedTuple):
    """What a claim tests. Claims of the same `family`, a metric and a form, share Holm's correction, whatever
    their regions and directions are. Claims with the same `contrast` test the same arms, so they count once.
    `comparisons` is the number of tests that the claim itself corrects for.
    """

    family: tuple[str, str]
    contrast: Hashable
    comparisons: int
    paired_over: PairedOver


class MarkedRatio(NamedTuple):
    """A claimed ratio and its region, for figures, under the condition with the levels `at`."""

    ratio: float
    low: float
    high: float
    at: Mapping[str, Scalar]


class Claim(Config):
    """A statement from a source that the data can confirm or refute.

    The key that states a claim is the name of its form, and of the file that declares the form: `ratio.py`
    declares the form `ratio`, whose class has a field `ratio`.
    """

    exact: ClassVar[bool] = False
    """Whether a claim of this form holds exactly or is broken, so that it can be declared after the data."""

    source: str
    """The document and its section, for example `001 §5`."""

    says: str
    """The statement in one sentence of our own."""

    exploratory: str | None = Field(default=None, min_length=1, exclude_if=operator.not_)
    """Why this design cannot decide the claim. The report then shows the effect, without a verdict."""

    settled_by: ClassVar[str] = ""
    """In a plug-in, the class that settles the claim: `my_package.module:MySettlement`."""

    @classmethod
    def form(cls) -> str:
        """The key that states the claim."""
        return cls.__module__.rpartition(".")[2]

    def check(self, checker: StudyChecker, path: KeyPath) -> None:
        """Raises StudyError if the study, which states this claim at `path`, can never decide it."""
        raise NotImplementedError(f"the form {self.form()} has no check")

    def required_arms(self, arms: Sequence[Combination]) -> Iterable[Combination]:
        """The arms that are measured whatever tuning finds. The first of `arms` is the baseline."""
        return ()

    def compared_arms(self, arms: Sequence[Combination]) -> tuple[Combination, ...]:
        """The arms whose values the claim is about, by default all arms of the study if it names none."""
        return tuple(dict.fromkeys(self.required_arms(arms))) or tuple(arms)

    def sides(self, arms: Sequence[Combination]) -> tuple[tuple[Combination, ...], ...]:
        """Groups of arms that the claim compares with each other: whoever knows the values of one group alone
        does not know what the claim says.
        """
        return (self.compared_arms(arms),)

    def compared_conditions(self, conditions: Sequence[Combination]) -> tuple[Combination, ...]:
        """The conditions under which the claim is about them: the one under `at`, or all conditions."""
        at: Mapping[str, Scalar] | None = getattr(self, "at", None)
        return tuple(conditions) if at is None else (named_condition(conditions, at),)

    def metrics(self, primary: str) -> tuple[str, ...]:
        """The metrics that the claim is about, by default the primary one."""
        return (getattr(self, "metric", None) or primary,)

    def compares_values(self) -> bool:
        """Whether the claim compares the values of arms, so that they must be of one kind."""
        return True

    def named_contrast(
        self, primary: str, arms: Sequence[Combination], conditions: Sequence[Combination]
    ) -> NamedContrast | None:
        """The only contrast that the claim is about. It leaves the family of its metric."""
        return None

    def tested(
        self, study: StudyBase, arms: Sequence[Combination], conditions: Sequence[Combination]
    ) -> Tested | None:
        """What the claim tests; None for a claim that needs no statistics or that the design leaves open."""
        return None

    def after_tuning(self, baseline_best: Callable[[Mapping[str, Scalar]], float]) -> Self:
        """The claim with what tuning decides. `baseline_best` gives the best median of the baseline under a
        condition, NaN if there is none yet.
        """
        return self

    def formula_metrics(self) -> tuple[str, str] | None:
        """The metric and its closed form, if a figure compares the two."""
        return None

    def marked_ratio(self, primary: str) -> MarkedRatio | None:
        """The ratio that figures of the primary metric mark."""
        return None

    @property
    def region(self) -> tuple[float, float] | None:
        """The range of values that confirms the claimed figure; None if the form has no such range."""
        return None

    @property
    def region_reason(self) -> str:
        """Why the region is wider than usual; empty if it is not, or if the form has no region."""
        return ""

    def is_decided_by(self, checker: StudyChecker) -> bool:
        """Whether neither the study nor the claim is declared exploratory."""
        return self.is_decided_in(checker.study)

    def is_decided_in(self, study: StudyBase) -> bool:
        return not study.design.exploratory and self.exploratory is None


def check_reason(
    checker: StudyChecker, path: KeyPath, within: float, widest: float, because: str | None
) -> None:
    """Raises StudyError unless a region that is wider than usual has a reason."""
    if because is None:
        checker.fail(
            (*path, "within"),
            f"{path[-1]}: a `within` of {within:g} is more than {widest:g}, so that almost any figure would "
            "confirm the claim",
            hint="say why with `because: …`, which is printed beside the verdict",
            value=True,
        )


def check_numeric_condition(claim: Claim, checker: StudyChecker, path: KeyPath, over: str, noun: str) -> None:
    """Raises StudyError unless the condition `over` has at least 3 levels that are positive numbers."""
    path = (*path, "over")
    checker.check_known(path, over, checker.study.across, "`across` has no factor")
    levels = checker.study.across[over]
    for level in levels:
        if isinstance(level, bool) or not isinstance(level, int | float) or level <= 0:
            checker.fail(
                path,
                f"{noun} over {over} needs levels that are positive numbers; "
                f"{level_name(level)!r} is not one",
                value=True,
            )
    if len(levels) < 3 and claim.is_decided_by(checker):
        checker.fail(
            path, f"{noun} over {over} needs at least 3 levels, but there are {len(levels)}", value=True
        )
