"""Who was fooled: those who read a counter of energy that was missing or reset as little energy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.frames import MemoryFrames, RunFrames
from harness.analysis.results import SettledClaim
from tests.analysis.planted import SPEED, Planted, claim, study

ENERGY = "gpu_joules_per_token"
CLAIMS = {
    "less": {
        "source": "x",
        "says": "It needs less energy.",
        "metric": ENERGY,
        "level": {"cache": "dynamic"},
        "direction": "better",
    }
}


def measured(ratio: float) -> MemoryFrames:
    """A run in which a cache needs `ratio` times the energy of none."""
    planted = Planted(
        loaded=study(claims=CLAIMS, across={}),
        ratio=lambda cache, _: 1.0 if cache == "none" else ratio,
        units=1,
    )
    frames = planted.frames()
    energy = frames.samples["metric"].replace({SPEED: ENERGY})
    return replace(frames, samples=frames.samples.assign(metric=energy))


def settled(frames: RunFrames) -> SettledClaim:
    return claim(analyse(study(claims=CLAIMS, across={}), frames), "less")


def test_less_energy_is_better() -> None:
    assert settled(measured(0.5)).verdict == "confirmed"
    assert settled(measured(2.0)).verdict == "refuted"


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("lost", [1, 10])
def test_an_energy_that_is_missing_decides_nothing(ratio: float, lost: int) -> None:
    frames = measured(ratio)
    mine = (frames.samples["metric"] == ENERGY) & (frames.samples["arm"] == "cache=dynamic")
    highest = frames.samples[mine].sort_values("value").index[-lost:]
    verdict = settled(replace(frames, samples=frames.samples.drop(highest)))
    assert verdict.verdict == "invalid"
    assert f"GPU energy per token of cache=dynamic is missing in {lost} of 10 trials" in verdict.sentence
