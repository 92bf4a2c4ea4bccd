"""A tiny study that compares one process with several ones that make the same updates."""

from __future__ import annotations

from pathlib import Path

STUDY = """\
study: two_ranks
question: Do two processes train as one does?
task: step
base:
  model: {vocab_size: 50, d_model: 16, n_layers: 2, n_heads: 2, d_ff: 32, max_positions: 32}
  batch: 4
  length: 16
  optimizer: {kind: adamw, lr: 1e-3}
  units: 2
  warm_up: {at_most: 2, window: 2}
compare:
  ranks:
    - one: {}
    - two: {parallel: {data: 2}}
design: {rounds: 1, exploratory: true}
primary: update_seconds
scales: {smoke: {}}
"""


def put_two_ranks(folder: Path) -> Path:
    """Write the study below the folder; returns its path."""
    path = folder / "studies" / "two_ranks.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(STUDY, encoding="utf-8")
    return path
