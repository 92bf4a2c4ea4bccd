"""What a schema cannot say: names that must exist, levels that must differ. Claims have rules of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from harness.errors import InputError, StudyError
from harness.invariants.registry import find_invariant
from harness.metrics import DEFAULT_MARGINS, METRICS
from harness.study.arms import Combination
from harness.study.document import Located
from harness.study.known import check_known_key, check_metric
from harness.study.schema import Level, Study, level_name
from harness.tasks.base import Task


def check_study(study: Study, whole: Located, task: type[Task]) -> None:
    """The primary metric, invariants, margins and factors. Raises StudyError at the first that is wrong."""
    check_metric(study.primary, study, whole, ("primary",), task)
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
        check_known_key(
            name,
            known,
            "margins are declared for a metric or a family of them, there is no",
            whole,
            ("margins", name),
        )
    _check_factors(study, whole)


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
