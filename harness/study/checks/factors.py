"""Whether factors can be combined as a study says: `when`, `design.exclude` and the number of levels."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError

from harness.errors import StudyError, did_you_mean
from harness.study.arms import MOST, Combination, all_arms, arms, conditions, wanted_levels
from harness.study.reading.yaml_document import KeyPath, Located
from harness.study.schema import Level, StudyBase, Where, level_name


def check_combining(study: StudyBase, whole: Located) -> None:
    """Raises StudyError where a level could never be run, and where a condition or an exclusion means
    nothing.
    """
    for name in study.when:
        _check_when(study, whole, name)
    _check_arms_kind(study, whole)
    try:
        every, kept, places = all_arms(study), arms(study), conditions(study)
    except CycleError as error:
        chain = " on ".join(repr(factor) for factor in reversed(error.args[1]))
        raise StudyError(f"factors exist only with each other: {chain}", at=whole.place(("when",))) from None
    for combinations, section in ((every, "compare"), (places, "across")):
        if len(combinations) > MOST:
            what = "arms" if section == "compare" else "conditions"
            raise StudyError(
                f"more than {MOST:,} {what}",
                at=whole.place((section,)),
                hint="fewer levels, or several parts",
            )
    for index, where in enumerate(study.design.exclude):
        _check_exclude(study, whole, every, where, ("design", "exclude", index))
    _check_used(study.compare, kept, whole, "compare", "arm")
    _check_used(study.across, places, whole, "across", "condition")


def _check_when(study: StudyBase, whole: Located, name: str) -> None:
    factor, _, level = name.partition("=")
    section = next((part for part in ("compare", "across") if factor in getattr(study, part)), None)
    if section is None:
        known = [*study.compare, *study.across]
        raise StudyError(
            f"when: there is no factor {factor!r}",
            at=whole.place(("when", name)),
            hint=did_you_mean(factor, known),
        )
    factors: Mapping[str, list[Level]] = getattr(study, section)
    names = [level_name(known) for known in factors[factor]]
    if level and level not in names:
        raise StudyError(
            f"when: {factor} has no level {level!r}",
            at=whole.place(("when", name)),
            hint=did_you_mean(level, names),
        )
    if section == "compare" and study.design.arms == "paired":
        raise StudyError(
            "when: the levels of paired factors go together, so none can be missing",
            at=whole.place(("when", name)),
        )
    others = {other: levels for other, levels in factors.items() if other != factor}
    verb = "compared" if section == "compare" else "varied across"
    _check_levels(study.when[name], others, f"no other factor is {verb} by the name", whole, ("when", name))


def _check_levels(
    where: Where, factors: Mapping[str, list[Level]], unknown: str, whole: Located, path: KeyPath
) -> None:
    for factor, asked in where.items():
        at = whole.place((*path, factor))
        if factor not in factors:
            raise StudyError(f"{unknown} {factor!r}", at=at, hint=did_you_mean(factor, factors))
        names = [level_name(level) for level in factors[factor]]
        if asked == []:
            raise StudyError(f"no level of {factor} is named", at=at)
        for level in wanted_levels(asked):
            if level not in names:
                raise StudyError(f"{factor} has no level {level!r}", at=at, hint=did_you_mean(level, names))


def _check_arms_kind(study: StudyBase, whole: Located) -> None:
    counts = {factor: len(levels) for factor, levels in study.compare.items()}
    if study.design.arms == "leave-one-out":
        for factor, count in counts.items():
            if count != 2:
                raise StudyError(
                    f"leave-one-out needs two levels, off and on, {factor} has {count}",
                    at=whole.place(("compare", factor)),
                )
    if study.design.arms == "paired":
        first, *others = counts
        for factor in others:
            if counts[factor] != counts[first]:
                raise StudyError(
                    f"paired factors need equally many levels: {first} has {counts[first]}, {factor} has {counts[factor]}",
                    at=whole.place(("compare", factor)),
                )


def _check_exclude(
    study: StudyBase, whole: Located, every: tuple[Combination, ...], where: Where, path: KeyPath
) -> None:
    _check_levels(where, study.compare, "no factor is compared by the name", whole, path)
    if not any(arm.meets(where) for arm in every):
        raise StudyError("no arm has all of these levels, so none is left out", at=whole.place(path))
    if every[0].meets(where):
        raise StudyError(f"the baseline {every[0].name} cannot be left out", at=whole.place(path))


def _check_used(
    factors: Mapping[str, list[Level]],
    found: tuple[Combination, ...],
    whole: Located,
    section: str,
    noun: str,
) -> None:
    """Nothing that is written may silently never be run."""
    for factor, levels in factors.items():
        used = {combination.levels.get(factor) for combination in found}
        for index, level in enumerate(levels):
            if index not in used:
                raise StudyError(
                    f"no {noun} has level {level_name(level)!r} of {factor}",
                    at=whole.place((section, factor, index)),
                    hint="see `when` and `design.exclude`",
                )
