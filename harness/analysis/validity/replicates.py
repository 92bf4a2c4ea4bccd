"""Whether the seeds of an arm are replicates: each must have trained a model of its own."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator

from harness.analysis.frames import RunFrames
from harness.config import canonical_json
from harness.metrics import METRICS, known_metrics
from harness.store.rows import TrialRow
from harness.study.loaded import LoadedStudy

WEIGHTS = "weights"
"""The name of the hash of a trained model among a trial's outputs."""

_REAL_VALUED = [
    record.name
    for record in METRICS.values()
    if record.compared_by == "ratios" and record.paired_over != "rounds" and not record.exact
]
"""Losses and perplexities: two models never agree on one to the last bit."""

ENOUGH_EQUAL = 3
"""A metric that a study declares may be a count, on which two seeds can agree, but not this many and all."""


def repeated_seeds(loaded: LoadedStudy, frames: RunFrames, arm: str) -> Iterator[str]:
    """Two seeds of the arm whose trainings ended with equal weights, or where no weights were hashed, with an
    equal loss to the last bit. Such seeds say nothing about the scatter between trainings.

    Trainings that diverged are left out: they are equally lost, whatever their weights are.
    """
    measured = [trial for trial in _finished(frames, "measure") if trial.arm == arm]
    if len({trial.seed for trial in measured}) < 2:
        return
    for condition in loaded.conditions:
        rows = [trial for trial in measured if trial.condition == condition.names]
        trainings = [*rows, *_trainings(loaded, frames, arm, condition.name)]
        weights = [(trial.seed, trial.outputs[WEIGHTS]) for trial in trainings if WEIGHTS in trial.outputs]
        where = loaded.at(condition.names)
        if weights:
            yield from _repeated(weights, f"weights{where}")
        else:
            yield from _equal_losses(frames, {trial.id for trial in rows}, where)


def _finished(frames: RunFrames, purpose: str) -> list[TrialRow]:
    return [
        trial
        for trial in frames.trials
        if trial.purpose == purpose and trial.status == "finished" and not trial.notes.get("diverged")
    ]


def _trainings(loaded: LoadedStudy, frames: RunFrames, arm: str, condition: str) -> list[TrialRow]:
    """The trainings of the models that the trials of the arm load."""
    task = loaded.tasks.get((arm, condition))
    configs = {canonical_json(training.plain()) for training in task.trainings()} if task else set()
    if len(configs) != 1:  # a model and its draft are two trainings, which are not told apart by their hash
        return []
    return [
        trial
        for trial in _finished(frames, "train")
        if canonical_json(json.loads(trial.spec_json).get("config")) in configs
    ]


def _equal_losses(frames: RunFrames, trials: set[int], where: str) -> Iterator[str]:
    measured, names = frames.measured, [*_REAL_VALUED, *_declared()]
    values = measured[measured["trial"].isin(trials) & measured["metric"].isin(names)]
    finite: dict[str, list[tuple[int, str]]] = {}
    for name, part in values.groupby("metric", sort=True):
        pairs = zip(part["seed"].tolist(), part["value"].tolist(), strict=True)
        finite[str(name)] = [(seed, repr(value)) for seed, value in pairs if math.isfinite(value)]
    declared = finite.keys() - METRICS.keys()
    if not all(_all_equal(finite[name]) for name in declared):
        finite = {name: results for name, results in finite.items() if name not in declared}
    for name, results in finite.items():
        reasons = list(_repeated(results, f"{known_metrics()[name].label}{where}, to the last bit"))
        if reasons:
            yield reasons[0]
            return


def _all_equal(results: list[tuple[int, str]]) -> bool:
    """Whether enough seeds have a result and all of them have the same."""
    return len({seed for seed, _ in results}) >= ENOUGH_EQUAL and len({value for _, value in results}) == 1


def _declared() -> list[str]:
    """The metrics that the study declares and that depend on the seed. A count may be the same for all seeds,
    so a program ignores its seed only if all of these metrics are.
    """
    return [
        record.name
        for record in known_metrics().values()
        if record.name not in METRICS and record.paired_over == "seeds"
    ]


def _repeated(results: Iterable[tuple[int, str]], what: str) -> Iterator[str]:
    """The seeds that share the first result that several seeds have."""
    seeds: dict[str, set[int]] = {}
    for seed, result in results:
        seeds.setdefault(result, set()).add(seed)
    shared = sorted(sorted(group) for group in seeds.values() if len(group) > 1)
    if shared:
        names = ", ".join(map(str, shared[0][:-1])) + f" and {shared[0][-1]}"
        yield f"seeds {names} end with equal {what}, so they are no replicates"
