"""Whether factors can be combined as a study says: `when`, `design.exclude` and the number of levels."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError

from harness.errors import did_you_mean
from harness.study.arms import MOST, MOST_FACTORS, MOST_TASKS, Combination, all_arms
from harness.study.checks.checker import StudyChecker
from harness.study.levels import Level, Where, level_name
from harness.study.reading.yaml_document import KeyPath


def check_factors(checker: StudyChecker) -> None:
    """Raises StudyError if a level could never be run, or if an entry of `when` or `design.exclude` has no
    effect.
    """
    study = checker.study
    for section, factors in (
        ("compare", len(study.compare)),
        ("across", len(study.compare) + len(study.across)),
    ):
        if factors > MOST_FACTORS:
            checker.fail(
                (section,), f"the study has more than {MOST_FACTORS} factors", hint="use several studies"
            )
    _check_level_names(checker)
    for name in study.when:
        _check_when(checker, name)
    _check_arms_kind(checker)
    try:
        every, conditions = all_arms(study), checker.conditions
    except CycleError as error:
        chain = " → ".join(repr(factor) for factor in reversed(error.args[1]))
        checker.fail(("when",), f"factors depend on each other in a circle: {chain}")
    for combinations, section in ((every, "compare"), (conditions, "across")):
        if len(combinations) > MOST:
            noun = "arms" if section == "compare" else "conditions"
            checker.fail(
                (section,),
                f"the study has more than {MOST:,} {noun}",
                hint="use fewer levels, or several parts",
            )
    if len(checker.arms) * len(conditions) > MOST_TASKS:
        checker.fail(
            ("across",),
            f"the study has {len(checker.arms):,} arms under {len(conditions):,} conditions each, more "
            f"than {MOST_TASKS:,} together",
            hint="use fewer levels, or several parts",
        )
    for index, where in enumerate(study.design.exclude):
        _check_exclude(checker, every, where, ("design", "exclude", index))
    _check_used(checker, checker.arms, "compare", "arm")
    _check_used(checker, checker.conditions, "across", "condition")


def _check_level_names(checker: StudyChecker) -> None:
    study = checker.study
    for factor in study.across:
        if factor in study.compare:
            checker.fail(
                ("across", factor),
                f"factor {factor!r} is under both `compare` and `across`",
                hint="remove it from one of them",
            )
    for section in ("compare", "across"):
        factors: dict[str, list[Level]] = getattr(study, section)
        for factor, levels in factors.items():
            seen: set[str] = set()
            for index, level in enumerate(levels):
                path = (section, factor, index)
                if isinstance(level, dict) and len(level) != 1:
                    checker.fail(path, "a level must be a single value, or one name with its settings")
                name = level_name(level)
                if name in seen:
                    checker.fail(path, f"level {name!r} of {factor} is listed twice")
                seen.add(name)


def _check_when(checker: StudyChecker, name: str) -> None:
    study, path = checker.study, ("when", name)
    factor, _, level = name.partition("=")
    section = next((part for part in ("compare", "across") if factor in getattr(study, part)), None)
    if section is None:
        checker.fail(
            path,
            f"when: there is no factor {factor!r}",
            hint=did_you_mean(factor, [*study.compare, *study.across]),
        )
    factors: Mapping[str, list[Level]] = getattr(study, section)
    names = [level_name(known) for known in factors[factor]]
    if level and level not in names:
        checker.fail(path, f"when: {factor} has no level {level!r}", hint=did_you_mean(level, names))
    if section == "compare" and study.design.arms == "paired":
        checker.fail(
            path, "when: all levels of paired factors are used, so none of them can depend on other factors"
        )
    others = {other: levels for other, levels in factors.items() if other != factor}
    checker.check_levels(path, study.when[name], others, f"`{section}` has no other factor", value=False)


def _check_arms_kind(checker: StudyChecker) -> None:
    study = checker.study
    counts = {factor: len(levels) for factor, levels in study.compare.items()}
    if study.design.arms == "leave-one-out":
        for factor, count in counts.items():
            if count != 2:
                checker.fail(
                    ("compare", factor),
                    f"leave-one-out needs two levels, off and on, but {factor} has {count}",
                )
    if study.design.arms == "paired":
        first, *others = counts
        for factor in others:
            if counts[factor] != counts[first]:
                checker.fail(
                    ("compare", factor),
                    f"paired factors need the same number of levels, but {first} has {counts[first]} "
                    f"and {factor} has {counts[factor]}",
                )


def _check_exclude(
    checker: StudyChecker, every: tuple[Combination, ...], where: Where, path: KeyPath
) -> None:
    checker.check_levels(path, where, checker.study.compare, "`compare` has no factor", value=False)
    if not any(arm.meets(where) for arm in every):
        checker.fail(path, "no arm has all of these levels, so this excludes nothing")
    if every[0].meets(where):
        checker.fail(path, f"the baseline {every[0].name} cannot be excluded")


def _check_used(
    checker: StudyChecker, combinations: tuple[Combination, ...], section: str, noun: str
) -> None:
    """Every level that is listed must be run."""
    factors: Mapping[str, list[Level]] = getattr(checker.study, section)
    for factor, levels in factors.items():
        used = {combination.levels.get(factor) for combination in combinations}
        for index, level in enumerate(levels):
            if index not in used:
                checker.fail(
                    (section, factor, index),
                    f"no {noun} has level {level_name(level)!r} of {factor}",
                    hint="check `when` and `design.exclude`",
                )
