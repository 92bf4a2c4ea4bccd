"""What a study declares, without its claims and its search: a question, a task with its base settings,
factors with a baseline level, conditions and a design.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from harness.config import Config, content, digest
from harness.metrics import Metric, PairedOver
from harness.statistics import FEWEST_MODELS, MINIMUM_ROUNDS
from harness.study.declared_metric import DeclaredMetric, MetricName
from harness.study.levels import Level, Where
from harness.study.limits import DEFAULT_LIMITS, DeclaredLimits
from harness.study.tune import Tune

NAME = r"[a-z][a-z0-9_]*"
NAME_RULE = "use lowercase letters, digits and underscores, and begin with a letter"
Name = Annotated[str, StringConstraints(pattern=rf"^{NAME}(/{NAME})?$", max_length=64)]
"""The name of a study, or of one of its parts: `activation_checkpointing/cost`."""

Reason = Annotated[str, StringConstraints(min_length=1)]

Label = Annotated[str, StringConstraints(min_length=1, max_length=60)]

WIDEST_MARGIN = 3.0
"""A margin may be this many times the default without a reason."""


class Until(Config):
    """Rounds may end early, as soon as every comparison with the baseline on the primary metric is precise
    enough.

    `width` is the width of the 95 % interval of a ratio, as a fraction: 0.05 if its upper end is 5 % above
    its lower end. The ratio itself plays no part. At least `at_least` rounds are run, or all rounds if an
    exploratory scale has fewer.
    """

    width: float = Field(gt=0.0, lt=1.0)
    """The width of the 95 % interval of a ratio at which rounds end, as a fraction: 0.05 is 5 %."""

    at_least: int = Field(default=MINIMUM_ROUNDS, ge=MINIMUM_ROUNDS)
    """At least this many rounds are run."""


ENOUGH_SENTENCES = 100
"""A number of pairs that is large enough for every family of contrasts of a study."""


class Design(Config):
    """How arms are formed and how often each is run. Every claim about speed needs at least 6 rounds, or
    `exploratory`.

    one-factor: all factors at their first levels, then every other level, one factor at a time. factorial:
    every combination. leave-one-out: all factors at their last levels (on), then one factor at a time at its
    first level (off). paired: all first levels together, all second levels together, and so on. `exclude`
    removes the arms that have all of the listed levels.

    A round of timings that other programs disturbed does not count, and another round replaces it. With
    `disturbed_rounds: keep` such rounds count: for machines that are never quiet.
    """

    arms: Literal["one-factor", "factorial", "leave-one-out", "paired"] = "one-factor"
    """How levels are combined into arms: one-factor changes one factor at a time, factorial takes every
    combination, leave-one-out switches one factor off at a time, and paired takes the first levels together,
    the second levels together, and so on.
    """

    exclude: tuple[Where, ...] = Field(default=(), exclude_if=operator.not_)
    """Leaves out the arms that have all of the listed levels."""

    seeds: int = Field(default=1, gt=0, le=1000)
    """The number of seeds with which each arm is run under each condition."""

    rounds: int = Field(default=1, gt=0, le=10_000)
    """The number of rounds in which all arms are run. Speed and time need several rounds."""

    exploratory: bool = False
    """Whether too few repetitions are allowed. Then the study has effects, but no verdicts."""

    order_seed: int = 0
    """The seed of the random order of the trials."""

    disturbed_rounds: Literal["replace", "keep"] = "replace"
    """Whether a round that other programs disturbed is replaced by another round, or kept."""

    side_by_side: bool | None = Field(default=None, exclude_if=lambda chosen: chosen is None)
    """Whether trials run at the same time, each with its share of the cores and without recorded times. By
    default they do if nothing that is claimed or primary depends on what else the machine does. Trials of
    programs do so only with `true`.
    """

    until: Until | None = Field(default=None, exclude_if=operator.not_)
    """Rounds may end early, as soon as the comparisons are precise enough."""

    tune: Tune | None = Field(default=None, exclude_if=operator.not_)
    """Finds the best settings of each arm before the arm is measured."""

    limits: DeclaredLimits = Field(default=DEFAULT_LIMITS, exclude_if=lambda limits: limits == DEFAULT_LIMITS)
    """The time and the memory at which a trial is ended."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.until is not None and self.until.at_least > self.rounds and not self.exploratory:
            raise ValueError(
                f"until.at_least is {self.until.at_least}, but the study has at most {self.rounds} rounds"
            )
        return self

    @property
    def fewest_rounds(self) -> int:
        """The number of rounds that are always run. `rounds` is the largest number."""
        return self.rounds if self.until is None else min(self.rounds, self.until.at_least)

    def pairs(self, paired_over: PairedOver) -> int:
        """The smallest number of pairs that a comparison can have. With few seeds each seed is compared by
        its own rounds, with more the seeds are the pairs (`harness.statistics.replicates`).

        The sentences of one checkpoint are always enough. With several seeds, the seeds are counted.
        """
        if paired_over == "sentences" and self.seeds == 1:
            return ENOUGH_SENTENCES
        if paired_over == "rounds" and self.seeds < FEWEST_MODELS:
            return self.fewest_rounds
        return self.seeds


class Parity(Config):
    """Kinds of work, by the names under which tasks count them (`updates`, `training_tokens` …).

    Arms must do the same amount of work, except for the kinds under `differ`. FLOPs and seconds are compared
    only if they are under `match`: seconds within the study's margin for time, by the medians of the trials.
    """

    match: tuple[str, ...] = Field(default=(), exclude_if=operator.not_)
    """Kinds of work that must also be equal in all arms, for example `flops` or `seconds`."""

    differ: tuple[str, ...] = ()
    """Kinds of work that may differ between arms, for example `parameters`."""


class Reference(Config):
    """Nobody has reported a `metric` below `at_least` within `updates` updates. A training that reaches one
    makes its arm invalid.

    A training that learns too fast has usually seen the text of the test or its labels, or averages its loss
    over padding.
    """

    source: str
    """Where the best known result is published."""

    metric: str = "loss"
    """The metric of the result."""

    updates: int = Field(gt=0)
    """The result was reached within this number of updates."""

    at_least: float = Field(gt=0.0, allow_inf_nan=False)
    """Nobody has reported a value below this one."""


class FactorLabel(Config):
    """How a factor is named for people, in the report and in sentences.

    Nothing that is measured or judged depends on it.
    """

    label: Label | None = None
    """The name of the factor. Default: a short form of its path."""

    unit: Annotated[str, StringConstraints(max_length=20)] = ""
    """The unit of levels that are numbers, for example `tokens`."""

    levels: dict[str, Label] = Field(default_factory=dict)
    """The name of each level, by the name that the study gives it."""


class StudyBase(Config):
    """A study without its claims and its search, which are checked against it: all other fields of
    `harness.study.loaded.Study`.

    `base` and `level` settings are the settings of the task.

    `when` makes a factor (`rule`) or one of its levels (`rule=linear`) depend on other factors: it exists
    only with the listed levels of them.
    """

    study: Name
    """The name of the study: lowercase letters, digits and underscores. It is also the name of its report."""

    question: str = Field(min_length=1)
    """The question that the study answers, in one sentence."""

    task: str
    """What each trial does, for example `train` or `generate`. `harness describe task` lists the tasks."""

    base: dict[str, Any]
    """The settings of the task that all arms share. `harness describe TASK` lists them."""

    compare: dict[str, Annotated[list[Level], Field(min_length=2)]] = Field(min_length=1)
    """The factors that are compared: the path of a setting, and its levels. The first level is the baseline,
    unless `design.arms` says otherwise.
    """

    across: dict[str, Annotated[list[Level], Field(min_length=1)]] = Field(default_factory=dict)
    """The conditions under which arms are compared: the path of a setting, and its levels. Levels of a
    condition are not compared with each other.
    """

    when: dict[str, Where] = Field(default_factory=dict, exclude_if=operator.not_)
    """Makes a factor (`rule`) or one of its levels (`rule=linear`) depend on other factors: it exists only
    with the listed levels of them.
    """

    labels: dict[str, FactorLabel] = Field(default_factory=dict, exclude_if=operator.not_)
    """Names of factors (or of settings that are tuned) and of their levels for people, by the factor."""

    metrics: dict[MetricName, DeclaredMetric] = Field(default_factory=dict, exclude_if=operator.not_)
    """What a program reports that the study runs with the task `command`."""
    design: Design = Design()
    """How arms are formed, and how often each of them is run."""

    primary: str
    """The metric that answers the question. Claims use it if they name no metric."""

    invariants: tuple[str, ...] = ()
    """The invariants that are checked on every arm before anything is measured. `harness describe invariants`
    lists them.
    """

    parity: Parity = Parity()
    """Which kinds of work must be equal in all arms, and which may differ."""

    margins: dict[str, Annotated[float, Field(gt=0.0, lt=100.0)]] = Field(default_factory=dict)
    """For a metric or a group of metrics, the largest difference that does not matter: 0.01 is 1 %."""

    margin_reasons: dict[str, Reason] = Field(default_factory=dict, exclude_if=operator.not_)
    """Why a margin is wider than usual: needed above three times the default, and printed beside the
    verdicts.
    """
    references: tuple[Reference, ...] = Field(default=(), exclude_if=operator.not_)
    """The best results that are known. An arm that is better than possible becomes invalid."""

    @property
    def records(self) -> dict[str, Metric]:
        """The records of the metrics that the study declares."""
        return {name: declared.record(name) for name, declared in self.metrics.items()}

    def margin(self, record: Metric) -> float:
        """The largest difference that does not matter: the study's for this metric, else the study's for its
        group, else the default.
        """
        return self.margins.get(self.margin_name(record), record.margin)

    def margin_name(self, record: Metric) -> str:
        """The name under `margins` and `margin_reasons` that counts for a metric: its own if it is there, or
        else that of its group, unless a metric that the study declares has this name.
        """
        if record.name in self.margins or record.margin_group in self.metrics:
            return record.name
        return record.margin_group

    def margin_reason(self, record: Metric) -> str:
        """Why the study's margin for this metric is wider than usual; empty if it gives no reason."""
        return self.margin_reasons.get(self.margin_name(record), "")

    @property
    def digest(self) -> str:
        """The id of everything that the study declares: what is measured and what is judged. A run depends
        only on what is measured (`harness.study.measured`).
        """
        return digest(content(self))
