"""A study with everything that its results decide: the settings that tuning chose, the finalists, and the
number of rounds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness.config import canonical_json
from harness.statistics import log_ratios, narrow_enough, rounds_with_losses, rounds_with_voids
from harness.study.arms import Combination, named_condition
from harness.study.levels import Scalar
from harness.study.loaded import LoadedStudy, Study
from harness.study.planning.results import Results, disturbed_rounds, lost_measurements
from harness.study.planning.trials import Rounds, keeps_begun_rounds, replaces_disturbed_rounds
from harness.study.planning.tuning import candidates, finalists, tuned_arms
from harness.study.schema import Until
from harness.study.tune import Tune


def is_open(loaded: LoadedStudy) -> bool:
    """Whether the tuning of the study has not ended, so that the measurements are not known yet."""
    return loaded.study.design.tune is not None and not loaded.tuned


def deciding_metrics(study: Study) -> set[str]:
    """The metrics that `resolve` needs of each trial, for tuning and for rounds that may end early."""
    tune, until = study.design.tune, study.design.until
    return {*([tune.by] if tune else []), *([study.primary] if until else [])}


def resolve(loaded: LoadedStudy, results: Results) -> LoadedStudy:
    """The study with a fixed design that was run or will be run, as far as the results decide it. Reports and
    verdicts are about this study.

    Only the trials of tuning choose settings and arms, and only the widths of intervals choose the number of
    rounds. A study with a fixed design is returned as it is.
    """
    tune, until = loaded.study.design.tune, loaded.study.design.until
    if tune is not None:
        loaded = _tuned(loaded, tune, results)
    if until is not None:
        rounds = loaded.study.design.fewest_rounds if is_open(loaded) else rounds_wanted(loaded, results)
        design = loaded.study.design.model_copy(update={"rounds": rounds})
        loaded = replace(loaded, study=loaded.study.model_copy(update={"design": design}))
    return _with_further_rounds(loaded, results)


def _with_further_rounds(loaded: LoadedStudy, results: Results) -> LoadedStudy:
    """The study with more rounds: at least two for every round with a lost measurement, and one for every
    round that was disturbed from outside.

    A lost measurement counts against every statement (`TrialTable.trials`), so an interruption costs rounds
    and not the verdict. Whoever interrupts the rounds that begin badly gains nothing.
    """
    design, (lost, void) = loaded.study.design, _lost_and_void(loaded, results)
    rounds = rounds_with_voids(rounds_with_losses(design.rounds, len(lost - void)), len(void))
    if rounds == design.rounds:
        return loaded
    design = design.model_copy(update={"rounds": rounds})
    return replace(loaded, study=loaded.study.model_copy(update={"design": design}))


def _lost_and_void(loaded: LoadedStudy, results: Results) -> tuple[frozenset[int], frozenset[int]]:
    """The rounds with a lost measurement, and those that were disturbed from outside."""
    lost = frozenset(lost_measurements(results).values()) if keeps_begun_rounds(loaded) else frozenset()
    void = disturbed_rounds(results) if replaces_disturbed_rounds(loaded) else frozenset()
    return lost, void


def _tuned(loaded: LoadedStudy, tune: Tune, results: Results) -> LoadedStudy:
    tuned = tuned_arms(loaded, tune, results)
    arms = finalists(loaded, tune, tuned)
    measured = {arm.name for arm in arms}
    tasks = {
        (arm.name, condition.name): loaded.tasks[arm.name, condition.name]
        for arm in arms
        for condition in loaded.conditions
    }
    names = {canonical_json(condition.names): condition.name for condition in loaded.conditions}
    conditions = {condition.name: condition for condition in loaded.conditions}
    for arm in tuned:
        key = arm.arm, names[canonical_json(arm.condition)]
        if key in tasks:
            cell = next(one for one in arms if one.name == arm.arm), conditions[key[1]]
            tried = candidates(loaded, tune, cell, results)
            tasks[key] = next(one.task for one in tried if one.settings == arm.chosen.settings)
    tuned = tuple(replace(arm, measured=arm.arm in measured) for arm in tuned)
    return _with_targets(replace(loaded, arms=arms, tasks=tasks, tuned=tuned))


def _with_targets(loaded: LoadedStudy) -> LoadedStudy:
    """The study with the targets that its claims take from tuning."""

    def baseline_best(at: Mapping[str, Scalar]) -> float:
        condition = named_condition(loaded.conditions, at).names
        tuned = (
            arm for arm in loaded.tuned if arm.arm == loaded.baseline.name and arm.condition == condition
        )
        return next((arm.chosen.median for arm in tuned), math.nan)

    claims = {name: claim.after_tuning(baseline_best) for name, claim in loaded.study.claims.items()}
    return replace(loaded, study=loaded.study.model_copy(update={"claims": claims}))


def rounds_wanted(loaded: LoadedStudy, results: Results) -> int:
    """The number of rounds that the results so far ask for: the first ones, and one more after each round
    that leaves an interval too wide. No round is added while an earlier one is incomplete.

    The rule looks only at the widths of intervals, never at their positions. A rule that stops at the first
    significant result finds a difference between equal arms in one study of five (docs/validity.md,
    "Margins").
    """
    design = loaded.study.design
    if design.until is None:
        return design.rounds
    return last_round(
        [
            list(_ratios(loaded, arm, condition, results))
            for arm in loaded.arms[1:]
            for condition in loaded.conditions
        ],
        design.until,
        most=design.rounds,
    )


def last_round(comparisons: Sequence[Sequence[Mapping[int, float]]], until: Until, *, most: int) -> int:
    """The last round that is needed. `comparisons` holds for each comparison the log ratios of every complete
    round, one per seed.
    """
    width = math.log1p(until.width)
    for number in range(until.at_least, most):
        if any(len(rounds) < number for rounds in comparisons):
            return number
        pairs = [dict(enumerate(_joined(rounds[:number]), start=1)) for rounds in comparisons]
        models = len(comparisons[0][0])
        if all(narrow_enough(ratios, width, models=models) for ratios in pairs):
            return number
    return most


def _joined(rounds: Sequence[Mapping[int, float]]) -> list[float]:
    return [ratio for ratios in rounds for ratio in ratios.values()]


def _ratios(
    loaded: LoadedStudy, arm: Combination, condition: Combination, results: Results
) -> Iterator[Mapping[int, float]]:
    """Seed → ln(arm / baseline) of every round before the first incomplete one, without rounds that have a
    lost measurement or were disturbed from outside.
    """
    design, name, rounds = loaded.study.design, loaded.study.primary, Rounds(loaded)
    left_out = frozenset.union(*_lost_and_void(loaded, results))
    for number in (number for number in itertools.count(1) if number not in left_out):
        sides: list[dict[int, float]] = []
        for chosen in (arm, loaded.baseline):
            specs = [
                rounds.measurement(chosen, condition, seed=seed, number=number)
                for seed in range(design.seeds)
            ]
            values = {s.seed: results[s.id].values.get(name, math.nan) for s in specs if s.id in results}
            if len(values) < design.seeds or not all(value > 0 for value in values.values()):
                return
            sides.append(values)
        yield log_ratios(*sides)
