"""Who was fooled: those who took for replicates what repeats one training, or the rounds of one model; and
those to whom two lost trainings looked alike.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.analysis.analyse import analyse
from harness.analysis.frames import MemoryFrames
from harness.errors import StudyError
from harness.study.load import load_study
from harness.study.loaded import LoadedStudy
from harness.study.trainings import trained_apart
from tests.analysis.learned import Learned, training_study
from tests.analysis.planted import SPEED, Planted, claim, contrast, flat, spoil_trials, study
from tests.analysis.written import Written, written_study
from tests.traps.stored import judged

STUDIES = Path(__file__).parents[2] / "studies"
TRANSLATION, DECODING = STUDIES / "base_training.yaml", STUDIES / "decoding.yaml"
LION: dict[str, Any] = {"source": "x", "says": "So.", "level": {"optimizer": "lion"}}
BETTER = training_study(claims={"it": {**LION, "direction": "better"}})


def with_losses_of_one_seed(frames: MemoryFrames) -> MemoryFrames:
    """The frames with the losses of seed 0 in every seed."""
    samples = frames.samples.copy()
    keys = ["arm", "metric", "step"]
    first = samples[samples["seed"] == 0].set_index(keys)["value"]
    samples["value"] = first.loc[list(samples[keys].itertuples(index=False, name=None))].to_numpy()
    return replace(frames, samples=samples)


def test_seeds_that_end_with_equal_weights_are_no_replicates(tmp_path: Path) -> None:
    """Trap 13, where weights are hashed: even if only two of eight are equal."""
    for name, seeds in (("all", tuple(range(8))), ("two", (2, 5))):
        (tmp_path / name).mkdir()

        def weights(arm: str, seed: int, equal: tuple[int, ...] = seeds) -> str:
            return arm + str(min(equal) if seed in equal else seed)

        frames = Learned(loaded=BETTER, weights=weights).frames()
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


@pytest.mark.parametrize("direction", ["better", "worse"])
def test_pairs_that_are_lost_on_both_sides_show_no_equality(direction: str) -> None:
    """Trap 12: eight seeds, seven of which diverged in both arms."""
    for form in ({"no_difference": True}, {"direction": direction}, {"at_least": 0.5}, {"ratio": 1.0}):
        loaded = training_study(claims={"it": {**LION, **form}})
        settled = claim(Learned(loaded=loaded, lost=lambda _arm, seed: seed > 0).analysis(), "it")
        assert settled.verdict == "undecided"
        assert "optimizer=lion diverged on 7 of 8 seeds, optimizer=adam on 7, both on 7" in settled.sentence
    assert settled.interval == "unbounded"


def test_a_seed_that_is_lost_on_both_sides_is_a_tie_for_the_direction_alone() -> None:
    """One of eight: seven seeds decide the direction, but the ratio of the eighth could be anything."""
    for form, verdict in (
        ({"direction": "better"}, "confirmed"),
        ({"direction": "worse"}, "refuted"),
        ({"at_most": 1.0}, "undecided"),
        ({"ratio": 0.75, "within": 1.3}, "undecided"),
    ):
        loaded = training_study(claims={"it": {**LION, **form}})
        settled = claim(Learned(loaded=loaded, lost=lambda _arm, seed: seed == 0).analysis(), "it")
        assert settled.verdict == verdict


def timed(seeds: int, rounds: int) -> LoadedStudy:
    return study(
        compare={"cache": ["none", "dynamic"]},
        across={"new_tokens": [256]},
        design={"seeds": seeds, "rounds": rounds},
        invariants=[],
        claims={
            "it": {"source": "x", "says": "Faster.", "level": {"cache": "dynamic"}, "direction": "better"},
            "same": {"source": "x", "says": "As fast.", "level": {"cache": "dynamic"}, "no_difference": True},
        },
    )


def with_speeds_of_models(loaded: LoadedStudy, spread: float, number: int) -> MemoryFrames:
    """No arm is faster, but each trained model has its own speed in each arm."""
    frames = Planted(loaded=loaded, ratio=flat(1.0), noise=0.01, units=1, seed=number).frames()
    random = np.random.default_rng(number)
    factors = np.exp(random.normal(0, spread, loaded.study.design.seeds))
    samples = frames.samples.copy()
    chosen = (samples["metric"] == SPEED) & (samples["arm"] == "cache=dynamic")
    samples.loc[chosen, "value"] *= factors[samples.loc[chosen, "seed"].to_numpy()]
    return replace(frames, samples=samples[samples["metric"] == SPEED])


@pytest.mark.parametrize(("seeds", "rounds", "most"), [(2, 5, 0), (5, 6, 2), (6, 2, 2)])
def test_rounds_of_few_models_are_no_replicates(seeds: int, rounds: int, most: int) -> None:
    """Trap 14: each model has its own speed, so that ten rounds of two models are two replicates."""
    loaded = timed(seeds, rounds)
    results = [analyse(loaded, with_speeds_of_models(loaded, 0.1, number)) for number in range(8)]
    assert sum(claim(result, "it").verdict == "confirmed" for result in results) <= most


def test_a_verdict_on_few_models_says_that_it_is_about_them() -> None:
    for seeds, words in (
        (1, "8 rounds of one model)"),
        (3, "8 rounds of each of 3 models)"),
        (6, "6 models, by the means of their rounds)"),
    ):
        loaded = timed(seeds, 8)
        result = Planted(loaded=loaded, ratio=flat(1.5), noise=0.01).analysis()
        assert claim(result, "it").verdict == "confirmed"
        assert words in claim(result, "it").sentence


def test_one_slow_model_among_three_prevents_both_a_direction_and_an_equality() -> None:
    loaded = timed(3, 8)
    frames = Planted(loaded=loaded, ratio=flat(1.2), noise=0.01).frames()
    samples = frames.samples.copy()
    odd = (samples["metric"] == SPEED) & (samples["arm"] == "cache=dynamic") & (samples["seed"] == 1)
    samples.loc[odd, "value"] /= 1.2
    result = analyse(loaded, replace(frames, samples=samples))
    assert [claim(result, name).verdict for name in ("it", "same")] == ["undecided", "undecided"]
    assert contrast(result).verdict == "undecided"


@pytest.mark.parametrize("seeds", [2, 7])
def test_swapping_the_arms_of_several_models_mirrors_the_verdict(seeds: int) -> None:
    loaded = timed(seeds, 8)
    frames = Planted(loaded=loaded, ratio=flat(1.1), noise=0.03).frames()
    back = study(**loaded.study.plain() | {"compare": {"cache": ["dynamic", "none"]}, "claims": {}})
    forth, mirror = contrast(analyse(loaded, frames)), contrast(analyse(back, frames), arm="cache=none")
    assert (forth.verdict, mirror.verdict) == ("better", "worse")
    assert (mirror.low, mirror.high) == pytest.approx((1 / forth.high, 1 / forth.low))


def test_a_lost_round_of_one_of_several_models_is_invalid() -> None:
    loaded = timed(2, 8)
    frames = Planted(loaded=loaded, ratio=flat(1.5), noise=0.01).frames()
    gone = frames.samples[frames.samples["trial"] != frames.trials[5].id]
    assert claim(analyse(loaded, replace(frames, samples=gone)), "it").verdict == "invalid"


@pytest.mark.parametrize(("seeds", "verdict"), [(1, "undecided"), (5, "undecided"), (8, "confirmed")])
def test_sentences_of_few_checkpoints_decide_nothing_about_ways_of_training(
    seeds: int, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 9: arms that differ in their training, compared over sentences."""
    better = {"source": "x", "says": "So.", "level": {"decoding": "beam"}, "direction": "better"}
    loaded = written_study(claims={"it": better}, design={"seeds": seeds})
    planted = Written(right={"greedy": 0.6, "beam": 0.7, "wide": 0.6}, loaded=loaded, count=100)
    monkeypatch.setattr("harness.analysis.contrasts.trained_apart", lambda *_: True)
    settled = claim(planted.analysis(), "it")
    assert settled.verdict == verdict
    assert ("only the effect between these checkpoints" in settled.sentence) == (seeds < 6)


def test_models_of_other_trainings_and_of_other_moments_of_one_are_trained_apart() -> None:
    (part, *_) = [part for part in load_study(TRANSLATION) if part.part == "translation"]
    condition = part.conditions[0]
    assert trained_apart(part.tasks, (part.arms[1], part.arms[0]), condition)
    assert not trained_apart(part.tasks, (part.arms[1], part.arms[1]), condition)
    (written,) = [part for part in load_study(DECODING) if part.part == "continuation"]
    for arm in written.arms[1:]:  # one of them has a draft beside the same model
        assert not trained_apart(written.tasks, (arm, written.arms[0]), written.conditions[0])


def test_a_claim_that_compares_two_checkpoints_over_sentences_is_refused() -> None:
    with pytest.raises(StudyError) as caught:
        load_study(TRANSLATION, settings=["parts.translation.design.seeds=1"])
    assert (
        "base-bleu compares arms that are trained differently, which 1 training of each cannot decide"
        in str(caught.value)
    )


def test_outputs_that_differ_without_an_invariant_stand_in_the_sentence() -> None:
    """Trap 24."""
    loaded = timed(1, 10)
    frames = Planted(loaded=loaded, ratio=flat(1.5), noise=0.01).frames()
    changed = spoil_trials(frames, lambda trial: trial.arm == "cache=dynamic", outputs={"tokens": "other"})
    note = "the outputs differ in 10 of 10 trials, and no invariant says whether they may"
    assert note in claim(analyse(loaded, changed), "it").sentence
    assert note not in claim(analyse(loaded, frames), "it").sentence
    covered = study(**loaded.study.plain() | {"invariants": ["cache-parity"]})
    checked = Planted(loaded=covered, ratio=flat(1.5), noise=0.01).frames()
    changed = spoil_trials(checked, lambda trial: trial.arm == "cache=dynamic", outputs={"tokens": "other"})
    assert note not in claim(analyse(covered, changed), "it").sentence
