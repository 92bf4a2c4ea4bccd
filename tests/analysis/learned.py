"""Trainings with a known truth: loss curves of paired seeds, some of which diverge."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.analysis.analyse import analyse
from harness.analysis.frames import MemoryFrames, sample_frame
from harness.analysis.results import Analysis
from harness.store.rows import TrialRow
from harness.study.arms import arms, conditions
from harness.study.loaded import LoadedStudy, Study

UPDATES = 30


def training_study(**changes: Any) -> LoadedStudy:
    document: dict[str, Any] = {
        "study": "learned",
        "question": "Does it learn better?",
        "task": "train",
        "base": {},
        "compare": {"optimizer": ["adam", "lion"]},
        "design": {"seeds": 8},
        "primary": "validation_loss",
    }
    declared = Study.read(document | changes)
    return LoadedStudy(
        path=Path("studies/learned.yaml"),
        source="",
        scale="cpu",
        study=declared,
        arms=arms(declared),
        conditions=conditions(declared),
        tasks={},
    )


@dataclass(frozen=True, kw_only=True)
class Learned:
    """`speed(arm names)` is how fast the loss falls, from 8 by e^(−speed · update / 30); `lost(arm name,
    seed)` diverges.

    `weights(arm name, seed)` is the hash of what was learned, empty where none was kept; `zeros(arm name,
    seed)` is what is counted of an arm, in `zero_gradients`.
    """

    loaded: LoadedStudy = field(default_factory=training_study)
    speed: Callable[[dict[str, str]], float] = lambda names: 1.0 if names["optimizer"] == "adam" else 1.3
    lost: Callable[[str, int], bool] = lambda _arm, _seed: False
    weights: Callable[[str, int], str] = lambda _arm, _seed: ""
    zeros: Callable[[str, int], float] = lambda _arm, _seed: 0.0
    noise: float = 0.003
    updates: Callable[[str], int] = lambda _arm: UPDATES
    spent: Callable[[str], dict[str, float]] = lambda _arm: {"updates": 30.0, "training_tokens": 30_720.0}

    def frames(self) -> MemoryFrames:
        random = np.random.default_rng(5)
        rows: list[TrialRow] = []
        samples: list[tuple[int, str, int, float]] = []
        for seed in range(self.loaded.study.design.seeds):
            begun = len(rows)
            for arm in self.loaded.arms:
                diverged = self.lost(arm.name, seed)
                number = len(rows) + 1
                row = self._row(number, arm.name, seed, diverged=diverged)
                turned = 2 * begun + len(self.loaded.arms) + 1 - number
                rows.append(replace(row, position=turned if seed % 2 else number))
                scale = 8.0 * math.exp(random.normal(0, self.noise) + 0.05 * seed)
                for update in range(3 if diverged else self.updates(arm.name)):
                    loss = scale * math.exp(-self.speed(arm.names) * update / UPDATES)
                    samples += [(number, "loss", update, loss), (number, "update_seconds", update, 0.1)]
                if not diverged:
                    last = self.updates(arm.name) - 1
                    samples.append((number, "validation_loss", last, loss))
                    samples.append((number, "zero_gradients", last, self.zeros(arm.name, seed)))
        return MemoryFrames(samples=sample_frame(rows, samples), trials=tuple(rows), checks=())

    def analysis(self) -> Analysis:
        return analyse(self.loaded, self.frames())

    def _row(self, number: int, arm: str, seed: int, *, diverged: bool) -> TrialRow:
        weights = self.weights(arm, seed)
        return TrialRow(
            id=number,
            run_id="r",
            session_id=1,
            spec_id=f"s{number}",
            purpose="measure",
            task="train",
            arm=arm,
            condition={},
            seed=seed,
            round=1,
            position=number,
            attempt=1,
            state="diverged" if diverged else "finished",
            superseded_state=None,
            started_at="",
            seconds=1.0,
            spec_json="{}",
            outputs={"weights": weights} if weights else {},
            spent={"updates": 3.0} if diverged else self.spent(arm),
            notes={"diverged": True} if diverged else {},
            error=None,
            traceback=None,
            nvml_reason=None,
        )
