"""A tiny study with a search, and trainings of it that only say what they would have found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import indent
from typing import Any

from harness.config import digest
from harness.run.job import Job
from harness.study.load import StudyFile
from harness.study.searched import LoadedSearch
from harness.trial.causes import Cause
from harness.trial.outcome import Outcome, Sample
from tests.support.tiny_study import LOSS, RECIPE, patched, put

SEARCHED = f"""\
study: tiny
question: Which settings are best?
task: train
base:
{indent(RECIPE, "  ")}compare:
  clip: [1.0, 0.5]
design: {{seeds: 7}}
primary: validation_loss
search:
  space:
    optimizer.lr: {{low: 1e-5, high: 1e-1, log: true}}
    schedule.warmup: {{low: 0, high: 3}}
  sampler: {{kind: tpe, random: 2}}
  points: 5
"""

RATE = "optimizer.lr: {low: 1e-5, high: 1e-1, log: true}"
WARMUP = "schedule.warmup: {low: 0, high: 3}"
RANGES = f"    {RATE}\n    {WARMUP}\n"
TPE = "kind: tpe, random: 2"
SAMPLER = f"  sampler: {{{TPE}}}\n"
POINTS = "  points: 5\n"
CONDITIONAL = """\
    optimizer.kind: {choices: [adamw, sgd]}
    optimizer.lr: {low: 1e-5, high: 1e-1, log: true}
    optimizer.momentum: {low: 0.0, high: 0.9, step: 0.3, when: {optimizer.kind: sgd}}
"""


def searched(
    folder: Path, *patches: tuple[str, str], settings: Iterable[str] = (), part: str = ""
) -> LoadedSearch:
    """The search of the tiny study, changed by the patches."""
    return StudyFile(put(folder, patched(SEARCHED, *patches))).search(part, settings=tuple(settings))


def loss_of(config: Mapping[str, Any]) -> float:
    """The loss after a training with this config: smallest at a rate of 3e-3 after two updates of warm-up."""
    rate: float = math.log10(config["optimizer"]["lr"] / 3e-3)
    warmup: int = config["schedule"]["warmup"]
    return 2.0 + 0.2 * rate**2 + 0.1 * abs(warmup - 2)


def trained(job: Job) -> Outcome:
    """The training of a point as it would end. Seeds differ by little."""
    return ended_at(loss_of(job.spec.config) + 0.001 * (job.spec.seed % 7), job)


def ended_at(loss: float, job: Job) -> Outcome:
    """A training that has come to this loss on the way that all of them take."""
    samples = tuple(Sample(LOSS, step, value) for step, value in course(loss, job.spec.config))
    weights = digest([job.spec.config, job.spec.generator])
    return Outcome(
        status="finished",
        samples=samples,
        outputs={"weights": weights},
        spent={"updates": float(len(samples))},
    )


def course(loss: float, config: Mapping[str, Any]) -> list[tuple[int, float]]:
    """The validation losses of a training that ends at `loss`, by the updates after which they are taken."""
    every, updates = config["evaluate_every"], config["updates"]
    return [(step, loss + 0.1 * (updates - 1 - step)) for step in range(every - 1, updates, every)]


def diverged(_: Job) -> Outcome:
    return Outcome(status="finished", samples=(Sample(LOSS, 1, math.nan),), notes={"diverged": True})


def crashed(_: Job) -> Outcome:
    return Outcome(status="failed", error="trouble")


def killed(_: Job) -> Outcome:
    """By something outside of the trial."""
    return Outcome(status="lost", error="the worker was killed by SIGKILL", cause=Cause.KILLED)
