"""Equal work and equal measurement, checked before anything runs: what the arms' settings say about what they
will spend, what they will be measured on, and how.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from harness.config import MEASUREMENT
from harness.metrics import metric as record_of
from harness.study.arms import Combination
from harness.study.checks.checker import StudyChecker
from harness.study.claims.base import Claim
from harness.study.dotted_paths import leaves
from harness.study.levels import level_name, level_settings
from harness.study.names import Names
from harness.study.reading.yaml_document import KeyPath
from harness.tasks.base import Task
from harness.tasks.work import Work, amount_text, compared
from harness.wording import words

Tasks = Mapping[tuple[str, str], Task]
Works = Mapping[tuple[str, str], Work]
TOKENIZER, TRAINING_TEXT_LOSS = "tokenizer", "training_text_loss"


def check_parity(checker: StudyChecker, tasks: Tasks, claims: Mapping[str, Claim]) -> None:
    """Raises StudyError if arms will be measured in different ways, if a metric is wrong for the text or the
    tokenizers of the arms, or if arms will do different work that the study does not declare.
    """
    _check_measurement(checker, tasks)
    work = {names: task.expected_work() for names, task in tasks.items()}
    seen = next(filter(None, (task.seen_text() for task in tasks.values())), None)
    for path, metric, arms in _compared(checker, claims):
        _check_held_out(checker, seen, metric, path)
        _check_tokenizers(checker, work, metric, arms, path)
        _check_objectives(checker, tasks, metric, arms, path)
    _check_work(checker, work)


def check_candidate(checker: StudyChecker, task: Task, candidate: Task, path: KeyPath) -> None:
    """Raises StudyError if tuning could choose how an arm is measured, or how much it does: a grid would be
    another way to give an arm more.
    """
    measured, other = dict(_measurement(task)), dict(_measurement(candidate))
    for setting, value in other.items():
        if value != measured.get(setting):
            checker.fail(path, f"{setting} says how arms are measured, so it cannot be tuned")
    work, declared = task.expected_work(), checker.study.parity.differ
    for quantity, amount in candidate.expected_work().items():
        if compared(amount) != compared(work[quantity]) and quantity not in declared:
            checker.fail(
                path,
                f"tuning would choose the {words(quantity)} of each arm, so arms could do different work",
                hint="tune something else, or declare it: "
                f"`parity: {{differ: [{', '.join(sorted({*declared, quantity}))}]}}`",
            )


def _check_measurement(checker: StudyChecker, tasks: Tasks) -> None:
    baseline = checker.arms[0]
    for arm in checker.arms[1:]:
        for condition in checker.conditions:
            base, task = (dict(_measurement(tasks[name.name, condition.name])) for name in (baseline, arm))
            for setting, value in task.items():
                if value != base.get(setting):
                    checker.fail(
                        _level_that_sets(checker, setting, arm, baseline),
                        f"{setting} says how arms are measured, so it must be the same in all of them, but "
                        f"{arm.name} has {_differing(value, base.get(setting))}",
                        hint="set it under `base`, or under `across` to measure every arm in several ways",
                    )


def _differing(value: Any, other: Any) -> str:
    """The parts of a setting that differ, with both values: `at_most 5 instead of 0`."""
    parts, others = dict(leaves(value)), dict(leaves(other))
    return ", ".join(
        f"{path} {parts.get(path)!r} instead of {others.get(path)!r}".strip()
        for path in parts | others
        if parts.get(path) != others.get(path)
    )


def _measurement(config: BaseModel, path: str = "") -> Iterator[tuple[str, Any]]:
    """The settings of the measurement with their values. Those of a training that trials share are its own:
    they do not measure the trial.
    """
    for name, field in type(config).model_fields.items():
        value, inner = getattr(config, name), f"{path}{name}"
        if MEASUREMENT in field.metadata:
            yield inner, value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        elif isinstance(value, BaseModel) and not isinstance(value, Task):
            yield from _measurement(value, f"{inner}.")


def _level_that_sets(checker: StudyChecker, setting: str, *arms: Combination) -> KeyPath:
    """The level of one of these arms that sets a setting; of a named level, the line that does."""
    for arm in arms:
        for factor, index in arm.levels.items():
            level = checker.study.compare[factor][index]
            for path in level_settings(factor, level):
                if setting == path or setting.startswith(f"{path}.") or path.startswith(f"{setting}."):
                    at: KeyPath = ("compare", factor, index)
                    return (*at, level_name(level), path) if isinstance(level, dict) else at
    return ("compare",)


def _compared(
    checker: StudyChecker, claims: Mapping[str, Claim]
) -> Iterator[tuple[KeyPath, str, Sequence[Combination]]]:
    """The metric of each claim, and then the primary one, with the arms that are compared on it and where it
    was declared.
    """
    for name, claim in claims.items():
        path = ("claims", name)
        for metric in claim.metrics(checker.study.primary) if claim.compares_values() else ():
            at = (*path, "metric") if "metric" in checker.document.at(*path).data else path
            yield at, metric, claim.compared_arms(checker.arms)
    yield ("primary",), checker.study.primary, checker.arms


def _check_held_out(checker: StudyChecker, seen: str | None, metric: str, path: KeyPath) -> None:
    """Raises StudyError if the metric says how a model does on text that it has not seen, but it has."""
    if record_of(metric).held_out and seen is not None:
        instead = TRAINING_TEXT_LOSS if TRAINING_TEXT_LOSS in checker.metrics else None
        checker.fail(
            path,
            f"{metric} needs text that the model was not trained on, but {seen}",
            hint="use a split that is held out" + (f", or the metric {instead}" if instead else ""),
            value=path[-1] in ("primary", "metric"),
        )


def _check_tokenizers(
    checker: StudyChecker, work: Works, metric: str, arms: Sequence[Combination], path: KeyPath
) -> None:
    """Raises StudyError if a figure per token is compared over arms whose tokenizers differ: a larger
    vocabulary has fewer tokens, and each of them is harder to predict.
    """
    record = record_of(metric)
    for arm, condition in itertools.product(arms[1:] if record.per_token else (), checker.conditions):
        first, other = (work[chosen.name, condition.name].get(TOKENIZER, "") for chosen in (arms[0], arm))
        if compared(first) != compared(other):
            checker.fail(
                path,
                f"{metric} is counted per token, but {arms[0].name} and {arm.name} have different "
                "tokenizers, so their values cannot be compared",
                hint=f"use {record.per_byte}" if record.per_byte in checker.metrics else None,
                value=path[-1] in ("primary", "metric"),
            )


def _check_objectives(
    checker: StudyChecker, tasks: Tasks, metric: str, arms: Sequence[Combination], path: KeyPath
) -> None:
    """Raises StudyError if the loss that a training minimises is compared over arms that minimise different
    losses.
    """
    for arm, condition in itertools.product(
        arms[1:] if record_of(metric).objective else (), checker.conditions
    ):
        first, other = (tasks[chosen.name, condition.name].objective() for chosen in (arms[0], arm))
        if first != other:
            checker.fail(
                path,
                f"{metric} contains the label smoothing and the z-loss of the training, which differ between "
                f"{arms[0].name} and {arm.name}",
                hint="use validation_loss, which contains neither",
                value=path[-1] in ("primary", "metric"),
            )


def _check_work(checker: StudyChecker, work: Works) -> None:
    """Raises StudyError at the first difference in the work of the arms, with the line that declares all of
    them.
    """
    declared, differences = checker.study.parity.differ, dict[str, str]()
    for condition in checker.conditions:
        base = work[checker.arms[0].name, condition.name]
        for arm in checker.arms[1:]:
            for quantity, amount in work[arm.name, condition.name].items():
                if compared(amount) != compared(base[quantity]) and quantity not in declared:
                    differences.setdefault(
                        quantity,
                        f"{words(quantity)} is {amount_text(amount)} for {arm.name}"
                        f"{Names(checker.study).at(condition.names)}, "
                        f"but {amount_text(base[quantity])} for the baseline",
                    )
    if not differences:
        return
    match = checker.study.parity.match
    keys = [f"match: [{', '.join(match)}]"] if match else []
    keys.append(f"differ: [{', '.join(sorted({*declared, *differences}))}]")
    checker.fail(
        ("parity",) if "parity" in checker.document.data else ("compare",),
        f"arms must do the same work on the same text: {'; '.join(differences.values())}",
        hint="make them equal, or declare what the comparison is meant to vary: "
        f"`parity: {{{', '.join(keys)}}}`",
    )
