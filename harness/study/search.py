"""What a study says about the search for better settings: the space, how points are chosen from it, how many
of them, and what the best one must prove afterwards.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from harness.config import FROM_LIST, Config
from harness.study.levels import Level, Scalar, Where, level_name
from harness.study.quantities import Duration

Number = int | float

MOST_STEPS = 100_000
"""Steps of a range. The values of a range with a `step` are listed."""

WIDEST = 2**53
"""Whole numbers of a range: they can be counted in a float."""


class Parameter(Config):
    """The values that a search may give to a setting: a range from `low` to `high`, both included, or one of
    `choices`, each a value or one name with a group of settings, as levels of a factor are.

    With `log`, equal ratios are equally likely. With `step`, only low, low + step, low + 2 step and so on are
    used. The parameter exists only `when` other parameters have certain choices.
    """

    low: Number | None = None
    """The smallest value of the range."""

    high: Number | None = None
    """The largest value of the range."""

    step: Number | None = None
    """The distance between two neighbouring values of the range. Without it, every value is possible."""

    log: bool = False
    """Whether equal ratios are equally likely, as for learning rates."""

    choices: Annotated[tuple[Level, ...], FROM_LIST] | None = None
    """The values to choose from, instead of a range."""

    when: Where | None = Field(default=None, exclude_if=operator.not_)
    """The parameter exists only when other parameters have these choices."""

    @model_validator(mode="after")
    def _is_range_or_choices(self) -> Self:
        if self.choices is not None:
            if any((self.low is not None, self.high is not None, self.step is not None, self.log)):
                raise ValueError("a parameter with `choices` has no `low`, `high`, `step` or `log`")
            self._check_choices(self.choices)
        elif self.low is None or self.high is None:
            raise ValueError("a parameter needs either `low` and `high`, or `choices`")
        else:
            self._check_range(self.low, self.high)
        return self

    def _check_choices(self, choices: tuple[Level, ...]) -> None:
        names = [level_name(choice) for choice in choices]
        if len(names) < 2:
            raise ValueError("`choices` needs at least two values")
        if any(isinstance(choice, dict) and len(choice) != 1 for choice in choices):
            raise ValueError("a choice must be a single value, or one name with its settings")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"the choice {twice} is listed twice")

    def _check_range(self, low: Number, high: Number) -> None:
        if isinstance(low, bool) or isinstance(high, bool) or isinstance(self.step, bool):
            raise ValueError("true and false are not ends of a range; use `choices`")  # noqa: TRY004  pydantic reports it
        if not low < high:
            raise ValueError(f"the range from {low} to {high} is empty; `low` must be less than `high`")
        if not abs(low) + abs(high) < float("inf"):
            raise ValueError("the ends of a range must be finite")
        if isinstance(low, int) and isinstance(high, int) and high - low > WIDEST:
            raise ValueError(f"the range from {low} to {high} has more than {WIDEST:,} whole numbers")
        if self.log and low <= 0:
            raise ValueError(
                f"a range with `log` must be above zero, but `low` is {low}; use a small positive number"
            )
        if self.step is not None:
            self._check_steps(low, high, self.step)

    def _check_steps(self, low: Number, high: Number, step: Number) -> None:
        if self.log:
            raise ValueError("a range has either `log` or `step`; leave one of them out")
        if not step > 0:
            raise ValueError(f"`step` must be greater than 0, found {step}")
        steps = (high - low) / step
        if steps > MOST_STEPS:
            raise ValueError(
                f"the range from {low} to {high} has more than {MOST_STEPS:,} steps of {step}; "
                "use larger steps, or leave `step` out"
            )
        if round(steps) < 1 or abs(steps - round(steps)) > 1e-9 * max(1.0, steps):
            last = low + int(steps) * step
            nearest = f"{last:.12g}" if last > low else f"{low + step:.12g}"
            raise ValueError(
                f"steps of {step} from {low} do not end at {high}; use `high: {nearest}`, or another step"
            )


class Tpe(Config):
    """Tree-structured Parzen estimator (Bergstra et al. 2011; arXiv 2304.11127): the first `random` points
    are drawn at random, then the best of `candidates` draws from the density of good points is asked.

    `joint` models parameters together, so that it sees how they depend on each other.
    """

    kind: Literal["tpe"] = "tpe"
    random: int = Field(default=10, ge=1)
    """The number of points at the beginning that are drawn at random."""

    candidates: int = Field(default=24, ge=1)
    """The number of draws from which the next point is chosen."""

    joint: bool = True
    """Whether parameters are modelled together, so that it is seen how they depend on each other."""


class GaussianProcess(Config):
    """Gaussian process with the logarithm of the expected improvement (arXiv 2310.20708)."""

    kind: Literal["gp"] = "gp"
    random: int = Field(default=10, ge=1)
    """The number of points at the beginning that are drawn at random."""


class CmaEs(Config):
    """Covariance matrix adaptation (arXiv 1604.00772). Choices are drawn independently.

    `population` is the number of points of a generation; by default 4 + 3 ln(parameters).
    """

    kind: Literal["cma-es"] = "cma-es"
    population: int | None = Field(default=None, ge=4)
    """The number of points of a generation. Default: 4 + 3 ln(number of parameters)."""


class RandomDraws(Config):
    """Independent uniform draws."""

    kind: Literal["random"] = "random"


class Grid(Config):
    """Every combination of values once, in random order. Every range needs a `step`, or whole numbers."""

    kind: Literal["grid"] = "grid"


class QuasiRandom(Config):
    """A scrambled sequence that fills the space evenly (Sobol 1967, Halton 1960)."""

    kind: Literal["qmc"] = "qmc"
    sequence: Literal["sobol", "halton"] = "sobol"
    """The sequence from which the points are taken."""


class NsgaII(Config):
    """A genetic algorithm that ranks points by dominance (Deb et al. 2002), for several objectives."""

    kind: Literal["nsga-ii"] = "nsga-ii"
    population: int = Field(default=20, ge=2)
    """The number of points of a generation."""

    crossover: float = Field(default=0.9, ge=0.0, le=1.0)
    """The probability that a new point combines two earlier points."""

    swapping: float = Field(default=0.5, ge=0.0, le=1.0)
    """The probability that a parameter is taken from the second of the two points."""


Sampler = Annotated[
    Tpe | GaussianProcess | CmaEs | RandomDraws | Grid | QuasiRandom | NsgaII, Field(discriminator="kind")
]


class MedianPruner(Config):
    """Stops a training whose best value so far is worse than the median of the earlier points at the same
    update. The first `startup` points and the first `warm_up` updates are never pruned.
    """

    kind: Literal["median"] = "median"
    startup: int = Field(default=5, ge=1)
    """The number of points at the beginning that are never stopped."""

    warm_up: int = Field(default=0, ge=0)
    """The number of updates at the beginning of a training at which it is never stopped."""


class Hyperband(Config):
    """Successive halving with several brackets (Li et al. 2018): of the points of a bracket, one in
    `reduction` goes on at each rung. The first rung is at `least` updates.

    Trainings are compared at equal updates in the middle of their schedules, which favours those that are
    fast at first.
    """

    kind: Literal["hyperband"] = "hyperband"
    least: int = Field(ge=1)
    """The number of updates at which trainings are compared for the first time."""

    reduction: int = Field(default=3, ge=2)
    """One in this many points goes on after each comparison."""


class WilcoxonPruner(Config):
    """Stops a point after a seed if a signed-rank test over the seeds so far says that it is worse than the
    best point, with a p value below `p`. The first `startup` seeds always run.
    """

    kind: Literal["wilcoxon"] = "wilcoxon"
    p: float = Field(default=0.1, gt=0.0, lt=0.5)
    """A point is stopped if it is worse than the best point with a p value below this number."""

    startup: int = Field(default=2, ge=2)
    """The number of seeds that always run."""


Pruner = Annotated[MedianPruner | Hyperband | WilcoxonPruner, Field(discriminator="kind")]

Point = Annotated[dict[str, Scalar], Field(min_length=1)]
"""Parameter → its value, or the name of its choice."""


class StudySearch(Config):
    """A search for the settings with which the `objective` is best, and the proof of what it finds.

    `space` names settings by their paths. `objective` is a metric of the task, or a list of several; by
    default it is the primary metric of the study. A point is a value for each parameter. Its value is the
    median of the objective over `seeds`, which no measurement uses; a training that diverges is the worst.

    The search asks `points` points in all, however often it is started, or as many as fit in `timeout`, the
    time of all trials together. The first point is the arm with which the search begins, by default the
    baseline; then come those under `enqueue`. `arm` and `at` name this arm and the condition of the search.

    The best point and the arm with which the search began are then compared on fresh seeds with the design of
    the study. `prove` is the claim, in the words of a claim of the study, by default `direction: better`. Of
    several objectives, `finalists` points of the Pareto front are compared on each objective.
    """

    space: dict[str, Parameter] = Field(min_length=1)
    """The settings to search, by their paths, with the values that they may have."""

    objective: str | Annotated[tuple[str, ...], FROM_LIST, Field(min_length=1)] | None = None
    """The metric that is made best, or a list of several metrics. Default: the primary metric."""

    sampler: Sampler = Tpe()
    """How the next point is chosen."""

    pruner: Pruner | None = Field(default=None, exclude_if=operator.not_)
    """When a training that does badly is stopped before its end."""

    points: int = Field(default=50, ge=2, le=10_000)
    """The number of points in all, however often the search is started."""

    timeout: Duration | None = Field(default=None, exclude_if=operator.not_)
    """The time of all trials together after which no new point is asked: 30m, 1.5h."""

    seeds: int = Field(default=1, ge=1, le=1000)
    """The number of seeds with which each point is run. The value of a point is the median over them."""

    seed: int = Field(default=0, ge=0)
    """The seed of the random choices of the sampler."""

    enqueue: Annotated[tuple[Point, ...], FROM_LIST] = Field(default=(), exclude_if=operator.not_)
    """Points that are tried first."""

    arm: dict[str, Scalar] = Field(default_factory=dict, exclude_if=operator.not_)
    """The arm with which the search begins, by its levels. Default: the baseline."""

    at: dict[str, Scalar] = Field(default_factory=dict, exclude_if=operator.not_)
    """The condition under which the search looks, by its levels."""

    prove: dict[str, Any] = Field(default_factory=dict, exclude_if=operator.not_)
    """The claim that is tested on fresh seeds, in the words of a claim. Default: `direction: better`."""

    finalists: int = Field(default=3, ge=1, le=20)
    """With several objectives: the number of points of the Pareto front that are compared at the end."""

    def objectives(self, primary: str) -> tuple[str, ...]:
        """The metrics that are optimised, where `primary` is the primary metric of the study."""
        if self.objective is None:
            return (primary,)
        return (self.objective,) if isinstance(self.objective, str) else self.objective
