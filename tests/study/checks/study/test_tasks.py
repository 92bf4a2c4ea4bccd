"""Arms that measure nothing are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import StudyError
from harness.study.load import load_study
from tests.study.checks.study.test_invariants import STUDY


def test_a_training_without_updates_is_no_arm(tmp_path: Path) -> None:
    study = tmp_path / "batches.yaml"
    study.write_text(STUDY.replace("updates: 10", "updates: 0\n  schedule: {kind: constant}"))
    with pytest.raises(StudyError, match="a training without updates measures nothing") as error:
        load_study(study)
    assert str(error.value).startswith(f"{study}:10:3: ")
    assert "only a recipe can have 0" in str(error.value.hint)
