"""The order of the trials in their values: found where it was planted, and only there."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.frames import MemoryFrames
from harness.study.loaded import LoadedStudy
from harness.study.planning.sequence import Sequence
from tests.analysis.planted import SPEED, Planted, flat, study

ARMS = ["none", "dynamic", "static"]


def three_arms(rounds: int = 24) -> LoadedStudy:
    return study(
        compare={"cache": ARMS},
        across={"new_tokens": [256]},
        design={"rounds": rounds},
        invariants=[],
        claims={},
    )


def in_sequence(loaded: LoadedStudy, *, after_second: float = 0.0, by_turn: float = 0.0) -> MemoryFrames:
    """Equal arms in the order of a plan, and what a trial gains from the one before it and from its turn."""
    frames = Planted(loaded=loaded, ratio=flat(1.0), noise=0.01).frames()
    sequence = Sequence(arms=len(ARMS), conditions=1, seed=3)
    rows, samples = [], frames.samples.copy()
    for row in frames.trials:
        order = sequence.round(row.round - 1)[0].arms
        turn = order.index([arm.name for arm in loaded.arms].index(row.arm))
        rows.append(replace(row, position=row.round * len(ARMS) + turn))
        before = order[turn - 1] if turn else order[0]
        chosen = (samples["trial"] == row.id) & (samples["metric"] == SPEED)
        samples.loc[chosen, "value"] *= math.exp(after_second * (before == 1) + by_turn * turn)
        samples.loc[samples["trial"] == row.id, "position"] = row.round * len(ARMS) + turn
    return replace(frames, trials=tuple(rows), samples=samples)


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ({}, None),
        ({"after_second": 0.05}, "dynamic ran before"),
        ({"by_turn": 0.03}, "depends on the position of a trial among those of its round"),
    ],
)
def test_an_effect_of_the_order_is_a_warning(planted: dict[str, float], said: str | None) -> None:
    loaded = three_arms()
    analysis = analyse(loaded, in_sequence(loaded, **planted))
    notes = [note for note in analysis.warnings if "the order is balanced" in note]
    assert (not notes) if said is None else any(said in note for note in notes)
    assert all(contrast.verdict != "invalid" for contrast in analysis.contrasts if contrast.metric == SPEED)
