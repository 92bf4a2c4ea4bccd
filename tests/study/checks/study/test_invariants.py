"""An invariant is checked on a trial's own model and inputs: a task that offers none takes no invariants."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import StudyError
from harness.study.load import load_study

STUDY = """\
study: batches
question: Does the size of the batch matter?
task: train
base:
  corpus: python-docs
  tokenizer: {kind: bytes}
  model: {preset: nano}
  batch: 4
  length: 32
  updates: 10
  optimizer: {kind: adamw, lr: 1e-3}
compare:
  batch: [4, 8]
design: {seeds: 2, exploratory: true}
parity: {differ: [training_tokens]}
primary: validation_loss
"""


def test_a_task_without_a_subject_takes_no_invariants(tmp_path: Path) -> None:
    study = tmp_path / "batches.yaml"
    study.write_text(STUDY)
    assert [arm.name for arm in load_study(study)[0].arms] == ["batch=4", "batch=8"]
    study.write_text(STUDY + "invariants: [cache-parity]\n")
    with pytest.raises(StudyError) as error:
        load_study(study)
    message = "invariant 'cache-parity' cannot be checked on the task 'train'"
    assert str(error.value) == f"{study}:17:14: {message}"
