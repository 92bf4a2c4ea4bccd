"""Studies of a baseline against itself: whatever they find is a false alarm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.study.load import load_study
from harness.study.loaded import LoadedStudy

_FOLDER = Path(__file__).with_name("studies")
GENERATION = _FOLDER / "generation.yaml"
STUDIES = (GENERATION, _FOLDER / "training.yaml")
"""Whose metrics are calibrated."""


def against_itself(study: Path, settings: Sequence[str] = ()) -> LoadedStudy:
    """The study with every arm set as its baseline; a study file cannot say this, as it would answer nothing."""
    (loaded,) = load_study(study, settings=settings)
    baseline = loaded.baseline.name
    same = {(arm, condition): loaded.tasks[baseline, condition] for arm, condition in loaded.tasks}
    return replace(loaded, tasks=same)
