"""Finished runs with invented samples, as a driver records them: of a study of a program or of trainings."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.metrics import declared
from harness.store.rows import Identity, Run
from harness.store.store import Store
from harness.study.load import load_study
from harness.study.planning.plan import plan
from harness.trial.outcome import Outcome, Sample
from harness.trial.spec import TrialSpec

CODE = "c0de" * 16
MACHINE = {"cpu": "Example 9000", "cores": 2, "packages": {"torch": "2.9"}}


def invent_run(
    store: Store,
    study: Path,
    *settings: str,
    scale: str = "cpu",
    code: str = CODE,
    machine: Mapping[str, Any] = MACHINE,
    plant: str | None = None,
    ratio: float = 0.96,
    words: Sequence[str] = (),
    finish: bool = True,
    outcome: Callable[[TrialSpec], Outcome] | None = None,
) -> Run:
    """A run of the study of `tests.support.program_study`, unless `outcome` says what its trials measure. Its
    warm-up multiplies the loss by `ratio`. `words` are those of the command that made it, by default that of
    `harness run`.
    """
    (loaded,) = load_study(study, scale, settings)
    with declared(loaded.study.records):
        specs = plan(loaded).trials
    run = store.create_run(
        Identity(
            study_digest="5" * 16,
            scale=scale,
            code_digest=code,
            environment_digest=str(machine["cpu"]),
            plant=plant,
        ),
        study=loaded.study.study,
        study_json=loaded.study.model_dump_json(),
        study_source=loaded.source,
        environment=machine,
        trials=specs,
    )
    given = [word for setting in settings for word in ("--set", setting)]
    argv = ["harness", *(words or ("run", str(study), *given))]
    session = store.open_session(run, {"argv": argv, "load": [0.25, 0.5, 0.75]})
    for position, spec in enumerate(specs if finish else specs[:1]):
        attempt = store.begin_trial(run, session, spec, position=position)
        measured = outcome(spec) if outcome else _outcome(spec, ratio)
        store.finish_trial(attempt, measured, seconds=1.25, nvml_reason="no driver")
    store.close_session(session)
    return run


def _outcome(spec: TrialSpec, ratio: float) -> Outcome:
    warm = spec.config["warmup"] > 0
    noise = 1 + (spec.seed * 37 % 11 + warm) / 10_000
    values = {
        "val_loss": 2.5 * noise * (ratio if warm else 1.0),
        "score": 0.5 + spec.seed * 13 % 7 / 1000 + 0.1 * warm,
        "rate": 10.0 + spec.seed + spec.round + warm,
        "command_seconds": 1.0 * noise,
    }
    samples = tuple(Sample(name, 0, value) for name, value in values.items())
    return Outcome(status="finished", samples=samples)


EVERY_UPDATE = (
    "clipped_gradient_norm",
    "data_seconds",
    "gradient_norm",
    "learning_rate",
    "mfu",
    "training_log_z",
    "training_tokens_per_second",
    "update_seconds",
)
EVERY_EVALUATION = (
    "bits_per_byte",
    "gradient_spikes",
    "log_z",
    "skipped_updates",
    "validation_perplexity",
    "zero_gradients",
)


def training_outcome(spec: TrialSpec) -> Outcome:
    """A training that records what a real one does after each of its updates, in numbers with all digits. An
    evaluation follows every tenth update.
    """
    updates, chance = spec.config["updates"], random.Random(spec.id)
    samples = []
    for step in range(updates):
        loss = 2 + 5 * math.exp(-step / 40) + chance.gauss(0, 0.05)
        samples += [Sample("loss", step, loss)]
        samples += [Sample(name, step, chance.uniform(1, 2)) for name in EVERY_UPDATE]
        if step % 10 == 9:
            samples += [Sample("validation_loss", step, loss + 0.1)]
            samples += [Sample(name, step, chance.uniform(1, 2)) for name in EVERY_EVALUATION]
    spent = {"updates": float(updates), "training_tokens": 128.0 * updates, "flops": 1e9 * updates}
    return Outcome(status="finished", samples=tuple(samples), spent=spent)
