"""What a schema cannot say: names that must exist, levels that must differ, designs that can decide their claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.errors import InputError, StudyError, did_you_mean
from harness.invariants.registry import find_invariant
from harness.metrics import DEFAULT_MARGINS, METRICS
from harness.statistics import largest_family
from harness.study.arms import Combination
from harness.study.claim import FormulaClaim, HoldsClaim, RatioClaim, Scalar, TrendClaim
from harness.study.document import KeyPath, Located
from harness.study.schema import Level, Study, level_name
from harness.tasks.base import Task


def check_study(study: Study, whole: Located, task: type[Task]) -> None:
    """Names of metrics, invariants, factors and levels. Raises StudyError at the first that is wrong."""
    _known(study.primary, task.metrics, f"task {study.task!r} produces no metric", whole, ("primary",))
    for index, name in enumerate(study.invariants):
        try:
            find_invariant(name)
        except InputError as error:
            raise StudyError(error.message, at=whole.place(("invariants", index)), hint=error.hint) from None
    for name in study.margins:
        _known(
            name,
            {*METRICS, *DEFAULT_MARGINS},
            "margins are declared for a metric or a family of them, there is no",
            whole,
            ("margins", name),
        )
    _check_factors(study, whole)
    for name in study.claims:
        _check_claim(study, whole, name, task)


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


def _check_claim(study: Study, whole: Located, name: str, task: type[Task]) -> None:
    claim, path = study.claims[name], ("claims", name)
    not_produced, not_included = (
        f"task {study.task!r} produces no metric",
        "the study's invariants do not include",
    )
    if isinstance(claim, HoldsClaim):
        _known(claim.holds, study.invariants, not_included, whole, (*path, "holds"))
        return
    _known(claim.metric or study.primary, task.metrics, not_produced, whole, (*path, "metric"))
    if isinstance(claim, FormulaClaim):
        _known(claim.formula, task.metrics, not_produced, whole, (*path, "formula"))
        _known(claim.also_holds, (*study.invariants, None), not_included, whole, (*path, "also_holds"))
        return
    _check_comparison(study, whole, claim, path)


def _check_comparison(
    study: Study, whole: Located, claim: RatioClaim | TrendClaim, path: tuple[str, str]
) -> None:
    name = path[1]
    _check_levels(claim.level, study.compare, "compared", whole, (*path, "level"))
    if all(
        level_name(study.compare[factor][0]) == level_name(level) for factor, level in claim.level.items()
    ):
        raise StudyError(f"{name} names the baseline itself", at=whole.place((*path, "level")))
    if isinstance(claim, RatioClaim):
        _check_levels(claim.at, study.across, "varied across", whole, (*path, "at"))
        for factor, levels in study.across.items():
            if len(levels) > 1 and factor not in claim.at:
                names = ", ".join(level_name(level) for level in levels)
                at = whole.place(path)
                raise StudyError(
                    f"{name} does not say at which {factor} it holds",
                    at=at,
                    hint=f"`at: {{{factor}: …}}`, one of {names}",
                )
    if isinstance(claim, TrendClaim):
        _known(claim.over, study.across, "no factor is varied across by the name", whole, (*path, "over"))
        numbers = [
            level
            for level in study.across[claim.over]
            if isinstance(level, int | float) and not isinstance(level, bool)
        ]
        if len(numbers) < 3 and not study.design.exploratory:
            at = whole.place((*path, "over"), of_value=True)
            raise StudyError(
                f"a trend over {claim.over} needs at least 3 numeric levels, there are {len(numbers)}", at=at
            )
    largest = largest_family(study.design.rounds)
    if largest < 1 and not study.design.exploratory:
        at = whole.place(("design", "rounds"), of_value=True)
        raise StudyError(
            f"{study.design.rounds} rounds can never decide {name}",
            at=at,
            hint="use at least 6, or `exploratory: true` for effects without verdicts",
        )


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
    """No level may stand for the same settings as the baseline: comparing a thing with itself answers nothing."""
    baseline = arms[0]
    for arm in arms[1:]:
        if all(
            tasks[arm.name, condition.name] == tasks[baseline.name, condition.name]
            for condition in conditions
        ):
            factor = next(factor for factor, index in arm.levels.items() if index != baseline.levels[factor])
            at = whole.place(("compare", factor, arm.levels[factor]))
            raise StudyError(
                f"level {arm.names[factor]!r} of {factor} changes nothing against the baseline", at=at
            )
