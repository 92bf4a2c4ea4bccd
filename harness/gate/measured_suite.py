"""What one run of the study of a gate measured: the pairs of each benchmark, and whether they count."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from harness.analysis.frames import unchecked_frames
from harness.analysis.results import Contrast
from harness.analysis.validity.voids import void_rounds_of, why_voids_decide_nothing
from harness.experiment.experiment import Experiment
from harness.gate.adjusted import adjusted_pairs, timed_rounds
from harness.gate.benchmarks import Benchmark
from harness.gate.decide import MARGIN, Measured, decide
from harness.gate.suite import (
    ARMS,
    CONTROL,
    FACTOR,
    REFERENCE_SECONDS,
    metric_names,
    reference_name,
)
from harness.metrics import declared
from harness.report.inputs import ReportInput


@dataclass(frozen=True, kw_only=True)
class MeasuredSuite:
    """The pairs of each benchmark in one run, by its name, without what the speed of the machine adds
    (`harness.gate.adjusted`). `problem` says why they decide nothing; it is empty if they can. `seconds` has
    the median of each benchmark in each version, and of the control loop.
    """

    run: str
    benchmarks: Mapping[str, Measured]
    seconds: Mapping[str, Mapping[str, float]]
    problem: str
    warnings: tuple[str, ...]


def measured_suite(experiment: Experiment, benchmarks: Sequence[Benchmark]) -> MeasuredSuite:
    """What the newest run of an experiment measured."""
    (part,) = experiment.judge()
    rounds = counted_rounds(experiment)
    pairs = _pairs(part, rounds, metric_names(benchmarks))
    named = [*zip(metric_names(benchmarks), benchmarks, strict=True)]
    missing = Measured(pairs=(), problem="it was not measured in both versions")
    return MeasuredSuite(
        run=part.run.id,
        benchmarks={
            one.name: replace(pairs.get(key, missing), margin=one.margin or MARGIN) for key, one in named
        },
        seconds=_seconds(_medians(rounds), {CONTROL: CONTROL, **{key: one.name for key, one in named}}),
        problem=_failed(part) or _noisy(experiment, part) or control_problem(pairs.get(CONTROL, missing)),
        warnings=tuple(part.analysis.warnings),
    )


def process_medians(experiment: Experiment) -> pd.DataFrame:
    """One row per metric and process of the rounds that count: metric, arm, trial and value."""
    return _medians(counted_rounds(experiment))


def counted_rounds(experiment: Experiment) -> pd.DataFrame:
    """One row per sample of the rounds that count: metric, arm, trial, round, step and value."""
    (part,) = experiment.findings()
    with declared(experiment.records), experiment.opened() as (store, runs):
        void = void_rounds_of(part.loaded, store.trials(runs[0]))  # with the rounds that replaced others
    frame = experiment.frame()
    return frame[(frame["purpose"] == "measure") & ~frame["round"].isin(void)]


def _medians(rounds: pd.DataFrame) -> pd.DataFrame:
    return rounds.groupby(["metric", "arm", "trial"])["value"].median().reset_index()


def _seconds(processes: pd.DataFrame, names: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """The median of each metric in each arm, by the name of its benchmark. What has no time is left out."""
    medians = processes.groupby(["arm", "metric"])["value"].median()
    medians = medians[(medians > 0) & (medians < math.inf)]
    return {
        arm: {
            name: float(medians[f"{FACTOR}={arm}", metric])
            for metric, name in names.items()
            if (f"{FACTOR}={arm}", metric) in medians.index
        }
        for arm in ARMS
    }


def control_problem(control: Measured) -> str:
    """What is wrong if the control loop differs between the versions, or was not measured."""
    slower = decide({CONTROL: control})[CONTROL]
    if slower.state == "invalid":
        return f"the control loop, which no version contains, was not measured: {slower.reason}"
    faster = decide({CONTROL: replace(control, pairs=tuple(-ratio for ratio in control.pairs))})[CONTROL]
    if "regressed" in (slower.state, faster.state):
        return (
            f"the control loop, which no version contains, took {slower.ratio:.3g} × "
            f"({slower.low:.3g} to {slower.high:.3g} ×) the time of the baseline"
        )
    return ""


def _failed(part: ReportInput) -> str:
    return "; ".join(f"{arm}: {reason}" for arm, reason in part.analysis.invalid.items())


def _noisy(experiment: Experiment, part: ReportInput) -> str:
    with declared(experiment.records), experiment.opened() as (store, runs):
        noise = why_voids_decide_nothing(part.loaded, unchecked_frames(store, runs[0]))
    return f"the machine is too noisy: {noise}" if noise else ""


def _pairs(part: ReportInput, rounds: pd.DataFrame, metrics: Sequence[str]) -> dict[str, Measured]:
    """The pairs of each metric. Those of benchmarks are adjusted by the references that do not differ between
    the versions: a thread that a version leaves running slows them down as well.
    """
    contrasts = {one.metric: one for one in part.analysis.contrasts}
    pairs = {name: _measured(one, dict(one.pairs)) for name, one in contrasts.items()}
    for metric in metrics:
        references = {
            reference: name
            for reference in REFERENCE_SECONDS
            if (name := reference_name(metric, reference)) in pairs and not control_problem(pairs[name])
        }
        if references:
            adjusted = adjusted_pairs(timed_rounds(rounds, metric, references), tuple(references))
            pairs[metric] = _measured(contrasts[metric], adjusted)
    return pairs


def _measured(contrast: Contrast, logs: Mapping[int, float]) -> Measured:
    """The logarithms of the rounds that the contrast compares."""
    return Measured(
        pairs=tuple(logs[number] for number, _ in contrast.pairs if number in logs),
        problem=contrast.reason if contrast.verdict == "invalid" else "",
    )
