"""What a schema cannot say: names that must exist, levels that must differ, designs that can decide their claims."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import NoReturn

from harness.errors import InputError, StudyError, did_you_mean
from harness.invariants.registry import find_invariant
from harness.metrics import DEFAULT_MARGINS, METRICS
from harness.statistics import largest_family
from harness.study.arms import Combination, arms, conditions
from harness.study.claim import FormulaClaim, HoldsClaim, RatioClaim, Scalar, TrendClaim
from harness.study.document import KeyPath, Located
from harness.study.schema import Level, Study, level_name
from harness.tasks.base import Task

_EXPLORATORY = "`exploratory: true` for effects without verdicts"


def check_study(study: Study, whole: Located, task: type[Task]) -> None:
    """The primary metric, invariants, margins and factors. Raises StudyError at the first that is wrong."""
    _check_metric(study.primary, study, whole, ("primary",), task)
    for index, name in enumerate(study.invariants):
        at = whole.place(("invariants", index))
        try:
            needs = find_invariant(name).needs
        except InputError as error:
            raise StudyError(error.message, at=at, hint=error.hint) from None
        if task.offers is None or not issubclass(task.offers, needs):
            raise StudyError(f"task {study.task!r} has nothing that {name} could be checked on", at=at)
        if name in study.invariants[:index]:
            raise StudyError(f"invariant {name!r} is written twice", at=at)
    for name in study.margins:
        known = {*METRICS, *DEFAULT_MARGINS}
        _known_key(
            name,
            known,
            "margins are declared for a metric or a family of them, there is no",
            whole,
            ("margins", name),
        )
    _check_factors(study, whole)


def _check_metric(
    name: str, study: Study, whole: Located, path: KeyPath, task: type[Task], *, directed: bool = True
) -> None:
    _known(name, task.metrics, f"task {study.task!r} produces no metric", whole, path)
    if directed and METRICS[name].better == "neither":
        raise StudyError(
            f"neither more nor less of {name} is better, so arms cannot be compared by it",
            at=whole.place(path, of_value=True),
        )


def _check_size(study: Study, whole: Located) -> None:
    """No family of contrasts may be so large, for its pairs, that none of it could ever be significant."""
    record = METRICS[study.primary]
    if study.design.exploratory or record.family == "bytes":
        return
    named = sum(
        isinstance(claim, RatioClaim) and (claim.metric or study.primary) == study.primary
        for claim in study.claims.values()
    )
    size = (len(arms(study)) - 1) * len(conditions(study)) - named
    unit = record.paired_over
    pairs = study.design.pairs(unit)
    if largest_family(pairs) < size:
        enough = next(count for count in itertools.count(pairs) if largest_family(count) >= size)
        raise StudyError(
            f"{pairs} {unit} can never decide {size} comparison{'s' if size > 1 else ''} of {study.primary}",
            at=whole.place(("design", unit), of_value=True),
            hint=f"use at least {enough}, or {_EXPLORATORY}",
        )


def _known(
    word: str | None, known: Iterable[str | None], problem: str, whole: Located, path: KeyPath
) -> None:
    names = set(known)
    if word not in names:
        hint = did_you_mean(str(word), filter(None, names))
        raise StudyError(f"{problem} {word!r}", at=whole.place(path, of_value=True), hint=hint)


def _check_factors(study: Study, whole: Located) -> None:
    for factor in study.across:
        if factor in study.compare:
            raise StudyError(
                f"factor {factor!r} is both compared and varied across", at=whole.place(("across", factor))
            )
    for section in ("compare", "across"):
        factors: dict[str, list[Level]] = getattr(study, section)
        for factor, levels in factors.items():
            seen: dict[str, int] = {}
            for index, level in enumerate(levels):
                at = whole.place((section, factor, index))
                if isinstance(level, dict) and len(level) != 1:
                    raise StudyError("a level is a value, or one name with its settings", at=at)
                name = level_name(level)
                if name in seen:
                    raise StudyError(f"level {name!r} of {factor} is written twice", at=at)
                seen[name] = index


def check_claims(study: Study, whole: Located, task: type[Task]) -> None:
    """What claims name must exist, and the design must be able to decide them. Raises StudyError."""
    for name in study.claims:
        _check_claim(study, whole, name, task)
    _check_size(study, whole)


def _check_claim(study: Study, whole: Located, name: str, task: type[Task]) -> None:
    claim, path = study.claims[name], ("claims", name)
    not_included = "the study's invariants do not include"
    if isinstance(claim, HoldsClaim):
        _known(claim.holds, study.invariants, not_included, whole, (*path, "holds"))
    elif isinstance(claim, FormulaClaim):
        _check_metric(claim.metric, study, whole, (*path, "metric"), task, directed=False)
        _check_metric(claim.formula, study, whole, (*path, "formula"), task, directed=False)
        if claim.formula == claim.metric:
            raise StudyError(
                f"{name} compares {claim.metric} with itself",
                at=whole.place((*path, "formula"), of_value=True),
            )
        _known(claim.also_holds, (*study.invariants, None), not_included, whole, (*path, "also_holds"))
    else:
        _check_metric(claim.metric or study.primary, study, whole, (*path, "metric"), task)
        _check_comparison(study, whole, claim, path)


def _check_comparison(
    study: Study, whole: Located, claim: RatioClaim | TrendClaim, path: tuple[str, str]
) -> None:
    name = path[1]
    _check_levels(claim.level, study.compare, "compared", whole, (*path, "level"))
    off = [
        factor
        for factor, level in claim.level.items()
        if level_name(study.compare[factor][0]) != level_name(level)
    ]
    if not off:
        raise StudyError(f"{name} names the baseline itself", at=whole.place((*path, "level")))
    if len(off) > 1:
        raise StudyError(
            f"no arm of {name} departs from the baseline in {' and '.join(off)}",
            at=whole.place((*path, "level")),
            hint="arms differ from it in one factor",
        )
    if isinstance(claim, RatioClaim):
        _check_levels(claim.at, study.across, "varied across", whole, (*path, "at"))
        for factor, levels in study.across.items():
            if len(levels) > 1 and factor not in claim.at:
                names = ", ".join(level_name(level) for level in levels)
                raise StudyError(
                    f"{name} does not say at which {factor} it holds",
                    at=whole.place(path),
                    hint=f"`at: {{{factor}: …}}`, one of {names}",
                )
    else:
        _check_trend(study, whole, claim, path)
    unit = METRICS[claim.metric or study.primary].paired_over
    pairs = study.design.pairs(unit)
    if largest_family(pairs) < 1 and not study.design.exploratory:
        raise StudyError(
            f"{pairs} {unit} can never decide {name}",
            at=whole.place(("design", unit), of_value=True),
            hint=f"use at least 6, or {_EXPLORATORY}",
        )


def _check_trend(study: Study, whole: Located, claim: TrendClaim, path: tuple[str, str]) -> None:
    _known(claim.over, study.across, "no factor is varied across by the name", whole, (*path, "over"))
    levels, at = study.across[claim.over], whole.place((*path, "over"), of_value=True)
    for level in levels:
        if isinstance(level, bool) or not isinstance(level, int | float) or level <= 0:
            raise StudyError(
                f"a trend over {claim.over} needs levels that are positive numbers, {level_name(level)!r} is not",
                at=at,
            )
    if len(levels) < 3 and not study.design.exploratory:
        raise StudyError(f"a trend over {claim.over} needs at least 3 levels, there are {len(levels)}", at=at)


def _check_levels(
    levels: Mapping[str, Scalar], factors: Mapping[str, list[Level]], verb: str, whole: Located, path: KeyPath
) -> None:
    for factor, level in levels.items():
        _known_key(factor, factors, f"no factor is {verb} by the name", whole, (*path, factor))
        names = [level_name(known) for known in factors[factor]]
        _known(level_name(level), names, f"{factor} has no level", whole, (*path, factor))


def _known_key(word: str, known: Iterable[str], problem: str, whole: Located, path: KeyPath) -> None:
    names = set(known)
    if word not in names:
        raise StudyError(f"{problem} {word!r}", at=whole.place(path), hint=did_you_mean(word, names))


def check_tasks(
    whole: Located,
    arms: tuple[Combination, ...],
    conditions: tuple[Combination, ...],
    tasks: Mapping[tuple[str, str], Task],
) -> None:
    """No level may stand for the same settings as another: comparing a thing with itself answers nothing."""
    for later, arm in enumerate(arms):
        for other in arms[:later]:
            if all(tasks[arm.name, where.name] == tasks[other.name, where.name] for where in conditions):
                against = "the baseline" if other is arms[0] else other.name
                _changes_nothing(arm, arms[0], "compare", against, whole)
    for later, condition in enumerate(conditions):
        for other in conditions[:later]:
            if any(tasks[arm.name, condition.name] == tasks[arm.name, other.name] for arm in arms):
                _changes_nothing(condition, other, "across", other.name, whole)


def _changes_nothing(
    chosen: Combination, reference: Combination, section: str, against: str, whole: Located
) -> NoReturn:
    factor = next(factor for factor, index in chosen.levels.items() if index != reference.levels[factor])
    raise StudyError(
        f"level {chosen.names[factor]!r} of {factor} changes nothing against {against}",
        at=whole.place((section, factor, chosen.levels[factor])),
    )
