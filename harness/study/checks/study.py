"""The checks of a study that a schema cannot make: names must exist, levels must differ, and the design must
be able to decide the claims.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from harness.config import canonical_json
from harness.errors import InputError
from harness.invariants.registry import find_invariant
from harness.metrics import AUXILIARY_LOSS, DEFAULT_MARGINS, METRICS, known_metrics, metric
from harness.statistics import FEWEST_MODELS
from harness.study.arms import Combination
from harness.study.checks.checker import StudyChecker
from harness.study.checks.factors import check_factors
from harness.study.checks.texts import check_texts
from harness.study.claims.base import Claim, Tested
from harness.study.loaded import LoadedStudy
from harness.study.planning.side_by_side import alone_because_of
from harness.study.schema import WIDEST_MARGIN
from harness.study.trainings import trained_apart
from harness.tasks.base import Task
from harness.tasks.command import Command
from harness.tasks.train import Train
from harness.wording import count, words


def check_study(checker: StudyChecker) -> None:
    """Raises StudyError if a text, the primary metric, an invariant, a margin, a reference or a factor is
    wrong.
    """
    study = checker.study
    check_texts(checker)
    _check_metrics(checker)
    checker.check_metric(("primary",), study.primary)
    _check_invariants(checker)
    _check_margins(checker)
    for index, name in enumerate(study.parity.match):
        if name in study.parity.differ:
            checker.fail(
                ("parity", "match", index), f"parity: {name} cannot be under both `match` and `differ`"
            )
    for index, reference in enumerate(study.references):
        path = ("references", index, "metric")
        checker.check_known(path, reference.metric, known_metrics(), "there is no metric")
        if not known_metrics()[reference.metric].is_loss:
            checker.fail(
                path, f"a reference must be about a loss, and {reference.metric} is not a loss", value=True
            )
    check_factors(checker)


def check_side_by_side(checker: StudyChecker, loaded: LoadedStudy) -> None:
    """Raises StudyError if trials shall run at the same time although what they are compared by depends on
    what else the machine does.
    """
    metric_name = alone_because_of(loaded)
    if loaded.study.design.side_by_side and metric_name:
        checker.fail(
            ("design", "side_by_side"),
            f"trials that run side by side have no times, and {words(metric_name)} is compared",
            hint="leave `side_by_side` out, so that trials run one after the other",
            value=True,
        )


def _check_metrics(checker: StudyChecker) -> None:
    study = checker.study
    for name in study.metrics:
        path = ("metrics", name)
        if name in METRICS or name.startswith(AUXILIARY_LOSS):
            checker.fail(path, f"{name} is a metric of the harness", hint="give yours another name")
        if checker.task is not Command:
            checker.fail(
                path,
                f"the task {study.task!r} reports its own metrics",
                hint=f"only the task {Command.name!r} reports metrics that a study declares",
            )


def _check_invariants(checker: StudyChecker) -> None:
    study, task = checker.study, checker.task
    for index, name in enumerate(study.invariants):
        path = ("invariants", index)
        try:
            needs = find_invariant(name).needs
        except InputError as error:
            checker.fail(path, error.message, hint=error.hint)
        if task.offers is None or not issubclass(task.offers, needs):
            checker.fail(path, f"invariant {name!r} cannot be checked on the task {study.task!r}")
        if name in study.invariants[:index]:
            checker.fail(path, f"invariant {name!r} is listed twice")


def _check_margins(checker: StudyChecker) -> None:
    problem = "no metric and no group of metrics has the name"
    known = known_metrics()
    for name, margin in checker.study.margins.items():
        path = ("margins", name)
        checker.check_known(path, name, {*known, *DEFAULT_MARGINS}, problem, value=False)
        in_points = (
            known[name].margin_in_points
            if name in known
            else any(record.margin_in_points for record in known.values() if record.margin_group == name)
        )
        if margin >= 1 and not in_points:
            checker.fail(
                path,
                f"margins.{name}: must be less than 1, found {margin:g}",
                hint=f"{margin:g} % is {margin / 100:g}",
                value=True,
            )
        default = known[name].margin if name in known else DEFAULT_MARGINS[name]
        if 0 < WIDEST_MARGIN * default < margin and name not in checker.study.margin_reasons:
            checker.fail(
                path,
                f"margins.{name}: {margin:g} is more than {WIDEST_MARGIN:g} times the default of {default:g}",
                hint=f"say why under `margin_reasons: {{{name}: …}}`, which is printed beside the verdicts",
                value=True,
            )
    for name in checker.study.margin_reasons:
        path = ("margin_reasons", name)
        checker.check_known(
            path, name, checker.study.margins, "`margins` does not declare a margin for", value=False
        )


def check_tasks(checker: StudyChecker, tasks: Mapping[tuple[str, str], Task]) -> None:
    """Raises StudyError if an arm measures nothing, or two arms or two conditions have the same settings."""
    if any(isinstance(task, Train) and not task.updates for task in tasks.values()):
        checker.fail(
            ("base", "updates"),
            "base.updates: a training without updates measures nothing",
            hint="use at least 1; only a recipe can have 0, for a model that is measured as it is",
        )
    arms, conditions = checker.arms, checker.conditions
    texts = {names: canonical_json(task.effect()) for names, task in tasks.items()}
    seen: dict[tuple[str, ...], Combination] = {}
    for arm in arms:
        same = seen.setdefault(tuple(texts[arm.name, condition.name] for condition in conditions), arm)
        if same is not arm:
            name = "the baseline" if same is arms[0] else same.name
            _changes_nothing(checker, arm, arms[0], "compare", same, name)
    for arm in arms:
        first: dict[str, Combination] = {}
        for condition in conditions:
            other = first.setdefault(texts[arm.name, condition.name], condition)
            if other is not condition:
                _changes_nothing(checker, condition, other, "across", other, other.name)


def _changes_nothing(
    checker: StudyChecker,
    chosen: Combination,
    reference: Combination,
    section: str,
    same: Combination,
    against: str,
) -> NoReturn:
    """Raises StudyError at a level of `chosen` that `same` does not have, if possible at one in which it
    differs from `reference`.
    """
    distinct = [factor for factor, name in chosen.names.items() if same.names.get(factor) != name]
    departs = [factor for factor in distinct if reference.names.get(factor) != chosen.names[factor]]
    if not distinct:
        checker.fail((section,), f"{chosen.name} has the same settings as {against}")
    factor = (departs or distinct)[0]
    crossed = section == "compare" and len(chosen.names) > 1
    hint = "use `when` to say where the level exists, or exclude its arm with `design.exclude`"
    checker.fail(
        (section, factor, chosen.levels[factor]),
        f"level {chosen.names[factor]!r} of {factor} gives the same settings as {against}",
        hint=hint if crossed else None,
    )


def check_families(checker: StudyChecker, claims: Mapping[str, Claim]) -> None:
    """Raises StudyError if a family of claims is so large that none of them could ever be confirmed."""
    families: dict[tuple[str, str], list[Tested]] = {}
    for claim in claims.values():
        if tested := claim.tested(checker.study, checker.arms, checker.conditions):
            families.setdefault(tested.family, []).append(tested)
    for (name, form), members in families.items():
        size = len({tested.contrast for tested in members})
        if size > 1:
            subject = f"{size} claims of the form {form} on {words(name)}, which are one family"
            comparisons = max(tested.comparisons for tested in members)
            checker.check_pairs(members[0].paired_over, size * comparisons, subject)


def check_trainings(
    checker: StudyChecker, claims: Mapping[str, Claim], tasks: Mapping[tuple[str, str], Task]
) -> None:
    """Raises StudyError if a claim compares ways of training by the texts of too few trainings."""
    seeds = checker.study.design.seeds
    for name, claim in claims.items():
        tested = claim.tested(checker.study, checker.arms, checker.conditions)
        if tested is None or tested.paired_over != "sentences" or seeds >= FEWEST_MODELS:
            continue
        first, *others = claim.compared_arms(checker.arms)
        for condition in claim.compared_conditions(checker.conditions):
            if any(trained_apart(tasks, (first, other), condition) for other in others):
                checker.fail(
                    ("design", "seeds"),
                    f"{name} compares arms that are trained differently, which "
                    f"{count(seeds, 'training')} of each cannot decide",
                    hint=f"use at least {FEWEST_MODELS} seeds, or set `exploratory`",
                    value=True,
                )


def check_claims(checker: StudyChecker, claims: Mapping[str, Claim]) -> None:
    """Raises StudyError at the first claim that is wrong, or if no comparison of the primary metric could
    ever be significant among so many.
    """
    for name, claim in claims.items():
        claim.check(checker, ("claims", name))
    check_families(checker, claims)
    study = checker.study
    record = metric(study.primary)
    if study.design.exploratory or record.exact:
        return
    contrasts = (
        claim.named_contrast(study.primary, checker.arms, checker.conditions) for claim in claims.values()
    )
    named = len({contrast for contrast in contrasts if contrast and contrast.metric == study.primary})
    tune = study.design.tune
    measured = tune.finalists if tune and tune.finalists else len(checker.arms)
    size = (measured - 1) * len(checker.conditions) - named
    subject = f"{size} comparison{'s' if size > 1 else ''} of {study.primary}"
    checker.check_pairs(record.paired_over, size, subject)
