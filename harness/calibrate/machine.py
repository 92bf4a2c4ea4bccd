"""Calibrates the machine: its limits, measured in a separate process, and the scatter of equal trials, from
real runs.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from harness.analysis.results import Contrast
from harness.calibrate.simulate import STUDIES, aa_study
from harness.errors import HarnessError
from harness.experiment import Experiment, Listener, Workspace
from harness.experiment.this_machine import this_machine
from harness.machine.calibration import Calibration, Limits, Scatter
from harness.machine.code_digest import code_digests
from harness.metrics import metric
from harness.run.backends.fork_server import WORKER_VARIABLES
from harness.run.identity import environment_digest
from harness.run.lease import machine_lease
from harness.run.resources import worker_threads
from harness.store.rows import CalibrationRow
from harness.store.store import open_store

LEAST_ROUNDS = 6


@dataclass(frozen=True, kw_only=True)
class Effort:
    """`seconds` for the limits, `rounds` for each of the two studies that measure scatter."""

    seconds: float
    rounds: int


FULL, QUICK = Effort(seconds=12, rounds=10), Effort(seconds=3, rounds=LEAST_ROUNDS)


def calibrate(workspace: Workspace, *, device: str, quick: bool, listener: Listener) -> CalibrationRow:
    """Measure this machine and store the result, together with the runs that measured its scatter."""
    here, gpu = this_machine(device)
    effort = QUICK if quick else FULL
    workspace.check_writable()
    listener.note(f"measuring the limits of this machine for about {effort.seconds:.0f} seconds")
    with machine_lease(listener.waiting):
        limits = measured_limits(gpu, effort.seconds)
    scatter = tuple(
        one
        for study in STUDIES
        for one in _scatter(
            Experiment(
                (aa_study(study, [f"design.rounds={effort.rounds}"]),),
                here,
                workspace=workspace,
                gpu=gpu,
                plant=None,
            ),
            listener,
        )
    )
    calibration = Calibration(limits=limits, scatter=scatter, quick=quick)
    row = CalibrationRow(
        environment_digest=environment_digest(here, gpu),
        facts=calibration.plain(),
        code_digest=code_digests().judging,
    )
    with open_store(workspace.location) as store:
        store.record_calibration(row)
    return row


def measured_limits(gpu: str | None, seconds: float) -> Limits:
    """The limits of the GPU, or of as many threads as a trial gets.

    Raises HarnessError if the process that measures them fails.
    """
    variables = {**WORKER_VARIABLES, **os.environ, **({"CUDA_VISIBLE_DEVICES": gpu} if gpu else {})}
    device = "cuda:0" if gpu else "cpu"
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            "harness.calibrate.ceilings",
            str(worker_threads("measure")),
            device,
            str(seconds),
        ],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise HarnessError(f"the limits of this machine could not be measured: {last}")
    return Limits.read(json.loads(done.stdout))


def _scatter(experiment: Experiment, listener: Listener) -> Iterator[Scatter]:
    """The scatter of each metric of time and memory between two equal arms in the same round."""
    experiment.run(fresh=True, listener=listener)
    with experiment.opened() as (_, runs):
        made_by = runs[0].id
    primary = experiment.parts[0].study.primary
    for contrast in experiment.analysis().contrasts:
        record = metric(contrast.metric)
        if record.name == primary and contrast.verdict == "invalid":
            raise HarnessError(f"run {made_by} could not measure {record.label}: {contrast.reason}")
        if record.paired_over == "rounds" and not record.exact and contrast.verdict != "invalid":
            yield Scatter(
                metric=record.name,
                family=record.margin_group,
                sigma=_sigma(contrast),
                rounds=contrast.n,
                run=made_by,
                primary=record.name == primary,
            )


def _sigma(contrast: Contrast) -> float:
    """The standard deviation of log ratios. It is 0 for values that repeat exactly, which have no ratios."""
    logs = [log for _, log in contrast.pairs]
    return statistics.stdev(logs) if len(logs) > 1 else 0.0
