"""What a schema cannot say: names that must exist, levels that must differ.

Claims have rules of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from harness.config import canonical_json
from harness.errors import InputError, StudyError
from harness.invariants.registry import find_invariant
from harness.metrics import DEFAULT_MARGINS, METRICS
from harness.study.arms import Combination
from harness.study.checks.factors import check_combining
from harness.study.checks.names import check_known, check_known_key, check_metric
from harness.study.reading.yaml_document import Located
from harness.study.schema import Level, StudyBase, level_name
from harness.tasks.base import Task


def check_study(study: StudyBase, whole: Located, task: type[Task]) -> None:
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
    _check_margins(study, whole)
    for index, name in enumerate(study.parity.match):
        if name in study.parity.differ:
            at = whole.place(("parity", "match", index))
            raise StudyError(f"parity: {name} cannot both match and differ", at=at)
    for index, reference in enumerate(study.references):
        path = ("references", index, "metric")
        check_known(reference.metric, METRICS, "there is no metric", whole, path)
        if not METRICS[reference.metric].is_loss:
            raise StudyError(
                f"a reference is one of a loss, {reference.metric} is none",
                at=whole.place(path, of_value=True),
            )
    _check_factors(study, whole)


def _check_margins(study: StudyBase, whole: Located) -> None:
    for name, margin in study.margins.items():
        known = {*METRICS, *DEFAULT_MARGINS}
        check_known_key(
            name,
            known,
            "margins are declared for a metric or a group of metrics, and there is no",
            whole,
            ("margins", name),
        )
        alike = [record for record in METRICS.values() if name in (record.name, record.margin_group)]
        if margin >= 1 and not alike[0].margin_in_points:
            at = whole.place(("margins", name), of_value=True)
            raise StudyError(f"margins.{name}: must be less than 1, found {margin:g}", at=at)


def _check_factors(study: StudyBase, whole: Located) -> None:
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
    check_combining(study, whole)


def check_tasks(
    whole: Located,
    arms: tuple[Combination, ...],
    conditions: tuple[Combination, ...],
    tasks: Mapping[tuple[str, str], Task],
) -> None:
    """No level may stand for the same settings as another: comparing a thing with itself answers nothing."""
    texts = {cell: canonical_json(task.plain()) for cell, task in tasks.items()}
    seen: dict[tuple[str, ...], Combination] = {}
    for arm in arms:
        same = seen.setdefault(tuple(texts[arm.name, where.name] for where in conditions), arm)
        if same is not arm:
            _changes_nothing(
                arm, arms[0], "compare", same, "the baseline" if same is arms[0] else same.name, whole
            )
    for arm in arms:
        found: dict[str, Combination] = {}
        for condition in conditions:
            other = found.setdefault(texts[arm.name, condition.name], condition)
            if other is not condition:
                _changes_nothing(condition, other, "across", other, other.name, whole)


def _changes_nothing(
    chosen: Combination, reference: Combination, section: str, same: Combination, against: str, whole: Located
) -> NoReturn:
    """Points at a level that `chosen` has and `same` has not, one that departs from `reference` where there
    is one.
    """
    own = [factor for factor, name in chosen.names.items() if same.names.get(factor) != name]
    departs = [factor for factor in own if reference.names.get(factor) != chosen.names[factor]]
    if not own:
        raise StudyError(f"{chosen.name} is the same as {against}", at=whole.place((section,)))
    factor = (departs or own)[0]
    crossed = section == "compare" and len(chosen.names) > 1
    raise StudyError(
        f"level {chosen.names[factor]!r} of {factor} changes nothing against {against}",
        at=whole.place((section, factor, chosen.levels[factor])),
        hint="say with `when` where it exists, or leave its arm out with `design.exclude`"
        if crossed
        else None,
    )
