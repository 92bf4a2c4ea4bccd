"""Who was fooled: those who took for replicates what repeats one training, or the rounds of one model; and
those to whom two lost trainings looked alike.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.analysis.analyse import analyse
from harness.analysis.frames import RunFrames
from tests.analysis.learned import Learned, training_study
from tests.analysis.planted import claim
from tests.traps.stored import judged

LION: dict[str, Any] = {"source": "x", "says": "So.", "level": {"optimizer": "lion"}}
BETTER = training_study(claims={"it": {**LION, "direction": "better"}})


def with_losses_of_one_seed(frames: RunFrames) -> RunFrames:
    """The frames with the losses of seed 0 in every seed."""
    samples = frames.samples.copy()
    keys = ["arm", "metric", "step"]
    first = samples[samples["seed"] == 0].set_index(keys)["value"]
    samples["value"] = first.loc[list(samples[keys].itertuples(index=False, name=None))].to_numpy()
    return replace(frames, samples=samples)


def test_seeds_that_end_with_equal_weights_are_no_replicates(tmp_path: Path) -> None:
    """Trap 13, where weights are hashed: even if only two of eight are equal."""
    for name, seeds in (("all", range(8)), ("two", (2, 5))):
        (tmp_path / name).mkdir()
        frames = Learned(
            loaded=BETTER,
            weights=lambda arm, seed, seeds=seeds: arm + str(min(seeds) if seed in seeds else seed),
        ).frames()
        settled = claim(judged(tmp_path / name, BETTER, frames), "it")
        assert settled.verdict == "invalid"
        assert f"{seeds[-1]} end with equal weights, so they are no replicates" in settled.sentence


def test_seeds_with_losses_that_are_equal_to_the_last_bit_are_no_replicates(tmp_path: Path) -> None:
    """Trap 13, where nothing is hashed."""
    frames = with_losses_of_one_seed(Learned(loaded=BETTER).frames())
    settled = claim(judged(tmp_path, BETTER, frames), "it")
    assert settled.verdict == "invalid"
    assert "seeds 0, 1, 2, 3, 4, 5, 6 and 7 end with equal loss, to the last bit" in settled.sentence


def test_lost_trainings_and_counts_may_be_equal() -> None:
    """Three trainings that diverged have equal weights, if all are NaN; and a count is often the same."""
    frames = Learned(
        loaded=BETTER,
        lost=lambda arm, seed: seed < 3 and arm == "optimizer=adam",
        weights=lambda arm, seed: "nan" if seed < 3 and arm == "optimizer=adam" else f"{arm} {seed}",
    ).frames()
    assert analyse(BETTER, frames).invalid == {}
    losses = frames.samples["metric"].isin(["loss", "validation_loss"])
    assert analyse(BETTER, replace(frames, samples=frames.samples[~losses])).invalid == {}
