"""Studies that leave something open, and the results that would close it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.study.planning.results import Result
from harness.trial.spec import TrialSpec
from tests.study.written import put, spoilt

TUNED = """\
study: tiny
question: Does clipping help?
task: train
base:
  corpus: python-docs
  tokenizer: {kind: bytes}
  model: {d_model: 16, n_layers: 1, n_heads: 2, d_ff: 32, max_positions: 64}
  batch: 4
  length: 32
  updates: 4
  optimizer: {kind: adamw, lr: 1e-3}
  schedule: {kind: cosine, warmup: 1}
  evaluate_every: 2
  evaluation_tokens: 256
compare:
  clip: [1.0, 0.5, 0.25, 2.0]
design:
  seeds: 7
  tune:
    grid:
      optimizer.lr: [1e-4, 1e-3, 1e-2]
primary: validation_loss
"""
LOSS, SPEED = "validation_loss", "decode_tokens_per_second"


def tuned_study(folder: Path, *patches: tuple[str, str], settings: Iterable[str] = ()) -> LoadedStudy:
    text = TUNED
    for old, new in patches:
        text = spoilt(text, old, new)
    return load_study(put(folder, text), settings=list(settings))[0]


def results(
    trials: Iterable[TrialSpec], value: Callable[[TrialSpec], float], name: str = LOSS
) -> dict[str, Result]:
    """Everything has finished, in one session."""
    return {
        spec.id: Result(spec_id=spec.id, session=1, diverged=False, values={name: value(spec)})
        for spec in trials
    }


def lr(spec: TrialSpec) -> float:
    return float(spec.config["optimizer"]["lr"])
