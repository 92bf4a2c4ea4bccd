"""Who was fooled: those whose NaN run fell out of the mean, and those who ran twenty seeds and told of the
best eight.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.analyse import analyse
from tests.analysis.learned import Learned, training_study
from tests.analysis.planted import claim
from tests.traps.stored import judged

CLAIM = {"source": "x", "says": "Better.", "level": {"optimizer": "lion"}, "direction": "better"}
LOADED = training_study(claims={"it": CLAIM})
FRAMES = Learned(loaded=LOADED).frames()
LION = [trial for trial in FRAMES.trials if trial.arm == "optimizer=lion"]


def test_the_study_is_sound(tmp_path: Path) -> None:
    assert claim(judged(tmp_path, LOADED, FRAMES), "it").verdict == "confirmed"


def test_a_nan_seed_that_was_dropped(tmp_path: Path) -> None:
    lost = LION[3].id
    gone = replace(
        FRAMES,
        trials=tuple(trial for trial in FRAMES.trials if trial.id != lost),
        samples=FRAMES.samples[FRAMES.samples["trial"] != lost],
    )
    assert claim(judged(tmp_path, LOADED, gone), "it").verdict == "invalid"


def test_a_nan_seed_that_stayed(tmp_path: Path) -> None:
    samples = FRAMES.samples.copy()
    chosen = (samples["trial"] == LION[3].id) & (samples["metric"] == "validation_loss")
    samples.loc[chosen, "value"] = math.nan
    settled = claim(judged(tmp_path, LOADED, replace(FRAMES, samples=samples)), "it")
    assert (settled.verdict, "is not a number in 1 trial" in settled.sentence) == ("invalid", True)


def test_a_diverged_seed_ranks_last(tmp_path: Path) -> None:
    lost = Learned(loaded=LOADED, lost=lambda arm, seed: (arm, seed) == ("optimizer=lion", 3)).frames()
    settled = claim(judged(tmp_path, LOADED, lost), "it")
    assert (settled.verdict, settled.n) == ("undecided", 8)


def test_the_best_of_many_seeds(tmp_path: Path) -> None:
    """Seed 11 in the place of a bad seed 3; or the bad one kept, and a ninth beside the eight that were
    planned.
    """
    swapped = replace(
        FRAMES,
        trials=tuple(replace(t, seed=11) if t.seed == 3 else t for t in FRAMES.trials),
        samples=FRAMES.samples.assign(seed=FRAMES.samples["seed"].replace(3, 11)),
    )
    assert claim(judged(tmp_path, LOADED, swapped), "it").verdict == "invalid"
    more = Learned(loaded=training_study(claims={"it": CLAIM}, design={"seeds": 9})).frames()
    settled = claim(analyse(LOADED, more), "it")
    assert (settled.verdict, "were not planned" in settled.sentence) == ("invalid", True)


@settings(max_examples=25)
@given(index=st.integers(0, 10**6), entire_trial=st.booleans())
def test_a_row_deleted_strengthens_nothing(index: int, entire_trial: bool) -> None:  # noqa: FBT001
    for loaded, before in (
        (LOADED, "confirmed"),
        (training_study(claims={"it": {**CLAIM, "direction": "worse"}}), "refuted"),
    ):
        row = FRAMES.samples.index[index % len(FRAMES.samples)]
        trial = FRAMES.samples.loc[row, "trial"]
        gone = FRAMES.samples.index[FRAMES.samples["trial"] == trial] if entire_trial else [row]
        after = claim(analyse(loaded, replace(FRAMES, samples=FRAMES.samples.drop(index=gone))), "it").verdict
        assert after in (before, "invalid")


def test_margins_and_regions_do_not_move_with_the_outcomes() -> None:
    permuted = FRAMES.samples.copy()
    losses = permuted["metric"] == "validation_loss"
    permuted.loc[losses, "value"] = permuted.loc[losses, "value"].sample(frac=1, random_state=1).to_numpy()
    one, two = (analyse(LOADED, frames) for frames in (FRAMES, replace(FRAMES, samples=permuted)))
    assert [c.margin for c in one.contrasts] == [c.margin for c in two.contrasts]
    bases = [claim(settled, "it").basis for settled in (one, two)]
    assert bases[0] is not None
    assert bases[1] is not None
    assert bases[0]["rule"] == bases[1]["rule"]
    assert bases[0]["members"] != bases[1]["members"]
