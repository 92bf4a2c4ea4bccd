"""Contrasts: verdicts, corrections, and the symmetries that a paired comparison must have."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.claims import named_contrasts
from harness.analysis.claims.decision import Basis
from harness.analysis.frames import MemoryFrames
from harness.analysis.results import Analysis, Contrast
from harness.metrics import metric
from harness.statistics import holm, paired_estimate, sign_flip_p
from harness.store.rows import TrialRow
from harness.study.loaded import LoadedStudy
from tests.analysis.learned import Learned, training_study
from tests.analysis.planted import (
    CLAIMS,
    LATENCY,
    SPEED,
    Planted,
    claim,
    contrast,
    flat,
    growing,
    spoil_trials,
    study,
)

MIRRORED = {"better": "worse", "worse": "better"}


@pytest.mark.parametrize(
    ("ratio", "noise", "verdict", "relevant", "reason"),
    [
        (2.0, 0.02, "better", True, ""),
        (0.7, 0.02, "worse", True, ""),
        (1.05, 0.01, "better", False, "the difference may be smaller than the margin"),
        (1.03, 0.003, "equivalent", False, "real but negligible"),
        (1.0, 0.005, "equivalent", False, ""),
        (1.0, 0.2, "undecided", False, "the interval includes zero difference"),
    ],
)
def test_a_verdict_on_speed(
    ratio: float,
    noise: float,
    verdict: str,
    relevant: bool,  # noqa: FBT001
    reason: str,
) -> None:
    result = contrast(Planted(ratio=flat(ratio), noise=noise).analysis())
    assert (result.verdict, result.relevant, result.reason) == (verdict, relevant, reason)
    assert result.low <= result.low90 <= result.effect <= result.high90 <= result.high
    assert result.margin == 0.05


@pytest.mark.parametrize("rounds", [1070, pytest.param(10_000, marks=pytest.mark.slow)])
def test_designs_of_many_rounds_are_analysed(rounds: int) -> None:
    """p and intervals are those of the pairs, and claims are decided by them."""
    claims = {
        "faster": {"source": "x", "says": "1.02 times.", "level": {"cache": "dynamic"}, "at_least": 1.02}
    }
    changes = {"design": {"rounds": rounds}, "compare": {"cache": ["none", "dynamic"]}, "across": {}}
    planted = Planted(loaded=study(**changes, claims=claims), ratio=flat(1.03), noise=0.05, units=1)
    analysis = planted.analysis()
    [speed] = [one for one in analysis.contrasts if one.metric == SPEED]
    expected = paired_estimate(dict(speed.pairs))
    assert speed.n == rounds
    assert (math.log(speed.low), math.log(speed.high)) == pytest.approx(
        (expected.ci95.low, expected.ci95.high), rel=1e-9
    )
    assert 1.02 < speed.low < 1.03 < speed.high < 1.04
    assert claim(analysis, "faster").verdict == "confirmed"
    assert speed.p == expected.p > 0


def test_swapping_the_arms_mirrors_every_verdict() -> None:
    for ratio in (2.0, 1.06, 1.03, 1.0):
        one, other = (
            study(compare={"cache": levels}, claims={})
            for levels in (["none", "dynamic"], ["dynamic", "none"])
        )
        frames = Planted(loaded=one, ratio=flat(ratio), noise=0.01).frames()
        there, back = analyse(one, frames), analyse(other, frames)
        for forth in there.contrasts:
            if forth.metric.startswith("cache_bytes"):
                continue
            mirror = next(
                c for c in back.contrasts if (c.metric, c.condition) == (forth.metric, forth.condition)
            )
            assert mirror.verdict == MIRRORED.get(forth.verdict, forth.verdict)
            assert mirror.relevant == forth.relevant
            assert (mirror.effect, mirror.low, mirror.high) == pytest.approx(
                (1 / forth.effect, 1 / forth.high, 1 / forth.low)
            )
            assert mirror.p == forth.p


@pytest.mark.parametrize("ratio", [2.0, 1.06, 1.03, 0.97, 0.5])
def test_time_and_throughput_agree(ratio: float) -> None:
    result = Planted(ratio=flat(ratio), noise=0.01, loaded=study(claims={})).analysis()
    for tokens in (16, 64):
        speed, latency = (contrast(result, metric, tokens=tokens) for metric in (SPEED, LATENCY))
        assert latency.verdict == speed.verdict
        assert latency.relevant == speed.relevant
        assert (latency.effect, latency.low, latency.high) == pytest.approx(
            (1 / speed.effect, 1 / speed.high, 1 / speed.low)
        )


def test_more_steps_inside_a_trial_are_no_replicates() -> None:
    def widths(units: int) -> list[float]:
        result = Planted(units=units, loaded=study(across={"new_tokens": [256]}, claims={})).analysis()
        return [math.log(c.high / c.low) for c in result.contrasts if c.metric == SPEED]

    few, many = widths(11), widths(1001)
    assert all(b > 0.6 * a for a, b in zip(few, many, strict=True))
    result = Planted(units=1001, loaded=study(across={"new_tokens": [256]}, claims={})).analysis()
    assert {c.n for c in result.contrasts} == {10}


def learning(seeds: int, rounds: int) -> tuple[LoadedStudy, MemoryFrames]:
    """Ten per cent less loss with a cache; every round of a seed repeats the same value."""
    loaded = study(
        design={"seeds": seeds, "rounds": rounds},
        primary="validation_loss",
        invariants=[],
        across={},
        claims={},
        compare={"cache": ["none", "dynamic"]},
    )
    frames = Planted(loaded=loaded).frames()
    samples = frames.samples[frames.samples["metric"] == "cache_bytes"].copy()
    samples["metric"] = "validation_loss"
    samples["value"] = [
        (2.0 if arm == "cache=none" else 1.8) + 0.01 * seed
        for arm, seed in zip(samples["arm"], samples["seed"], strict=True)
    ]
    return loaded, replace(frames, samples=samples)


def test_rounds_of_one_seed_are_no_replicates_of_a_training() -> None:
    """Ten rounds of one seed are one observation, six seeds are six."""
    one, six = (contrast(analyse(*learning(*size)), "validation_loss") for size in ((1, 10), (6, 2)))
    assert (one.n, one.verdict, one.low, one.high) == (1, "undecided", 0.0, math.inf)
    assert (six.n, six.verdict, six.relevant) == (6, "better", True)


def test_the_sign_flip_stands_beside_the_signed_rank_where_seeds_are_paired() -> None:
    form = {"source": "x", "says": "So.", "level": {"optimizer": "lion"}}
    loaded = training_study(claims={"it": {**form, "direction": "better"}, "soon": {**form, "reaches": 5.0}})
    result = Learned(loaded=loaded, noise=0.2).analysis()
    [loss] = [c for c in result.contrasts if c.metric == "validation_loss"]
    assert loss.p_sign_flip == sign_flip_p(dict(loss.pairs)) != loss.p
    assert {c.p_sign_flip for c in result.contrasts if c.metric == "update_seconds"} == {None}
    bases = {name: claim(result, name).basis for name in ("it", "soon")}
    members = {name: Basis.read(basis or {}).members[0] for name, basis in bases.items()}
    assert members["it"].p_sign_flip == loss.p_sign_flip
    assert members["soon"].p_sign_flip == sign_flip_p(dict(members["soon"].pairs))


def test_a_seed_that_diverged_is_the_worst_and_stays() -> None:
    loaded, frames = learning(8, 1)

    def diverge(arms: tuple[str, ...], seeds: tuple[int, ...]) -> Contrast:
        def hit(trial: TrialRow) -> bool:
            return trial.arm in arms and trial.seed in seeds

        lost = [trial.id for trial in frames.trials if hit(trial)]
        spoilt = spoil_trials(frames, hit, notes={"diverged": True}, spent={"updates": 3.0})
        return contrast(
            analyse(loaded, replace(spoilt, samples=frames.samples[~frames.samples["trial"].isin(lost)])),
            "validation_loss",
        )

    sound, alone = diverge((), ()), diverge(("cache=dynamic",), (2,))
    assert (sound.verdict, alone.n, alone.verdict, alone.high) == ("better", 8, "undecided", math.inf)
    assert diverge(("cache=dynamic",), tuple(range(8))).verdict == "worse"
    tie = diverge(("cache=none", "cache=dynamic"), (2,))
    assert dict(tie.pairs)[2] == 0.0
    assert (tie.n, tie.verdict) == (8, "better")


def test_holm_covers_the_contrasts_that_no_claim_names_and_no_others() -> None:
    result = Planted(noise=0.1, ratio=flat(1.1)).analysis()
    family = [
        c
        for c in result.contrasts
        if c.metric == SPEED and (c.arm, c.condition) != ("cache=dynamic", {"new_tokens": "256"})
    ]
    assert len(family) == 5
    expected = holm({str(index): c.p for index, c in enumerate(family)})
    assert [c.p_adjusted for c in family] == list(expected.values())
    named = contrast(result)
    assert named.p_adjusted == named.p
    unnamed = contrast(result, LATENCY)
    assert unnamed.p_adjusted > unnamed.p


def test_a_contrast_that_is_lost_stays_in_its_family() -> None:
    frames = Planted(noise=0.1, ratio=flat(1.1)).frames()
    gone = (frames.samples["metric"] == SPEED) & (frames.samples["arm"] == "cache=static")
    before, after = (analyse(study(), f) for f in (frames, replace(frames, samples=frames.samples[~gone])))
    for tokens in (16, 64):
        assert contrast(after, tokens=tokens).p_adjusted >= contrast(before, tokens=tokens).p_adjusted
        assert contrast(after, arm="cache=static", tokens=tokens).reason == (
            "decode tokens per second of cache=static is missing in 10 of 10 trials"
        )


def test_a_difference_that_the_family_cannot_carry_says_so() -> None:
    result = Planted(noise=0.1, ratio=flat(1.07), seed=8).analysis()
    carried = [c for c in result.contrasts if c.verdict == "undecided" and c.p <= 0.05]
    assert carried
    assert {c.reason for c in carried} == {
        "not significant after Holm's correction over this family of contrasts"
    }
    assert all(c.low <= 1 <= c.high for c in carried), "the printed interval has the level of the decision"
    assert all(c.p <= 0.05 < c.p_adjusted for c in carried)


def test_margins_and_claimed_regions_do_not_come_from_the_data() -> None:
    def declared(result: Analysis) -> list[object]:
        return [
            [c.margin for c in result.contrasts],
            [c.claimed for c in result.claims],
            [c.says for c in result.claims],
        ]

    loaded = study(margins={"time": 0.03})
    frames = Planted(loaded=loaded).frames()
    permuted = frames.samples.copy()
    speeds = permuted["metric"] == SPEED
    permuted.loc[speeds, "value"] = permuted.loc[speeds, "value"].sample(frac=1, random_state=3).to_numpy()
    one, two = analyse(loaded, frames), analyse(loaded, replace(frames, samples=permuted))
    assert declared(one) == declared(two)
    assert {c.margin for c in one.contrasts if c.metric == SPEED} == {0.03}
    assert one.contrasts != two.contrasts


def test_a_contrast_whose_arms_both_diverge_on_every_seed_is_undecided() -> None:
    """Both for losses and for counts. One seed that finishes in one arm is enough for a comparison."""
    both = Learned(lost=lambda _arm, _seed: True).analysis()
    assert {
        (c.metric, c.verdict, c.reason) for c in both.contrasts if metric(c.metric).lost_by_divergence
    } == {(name, "undecided", "both arms diverged on every seed") for name in ("loss", "validation_loss")}
    assert "identical" not in both.answer
    one = Learned(lost=lambda arm, seed: seed > 0 or arm == "optimizer=lion").analysis()
    assert "both arms diverged on every seed" not in {c.reason for c in one.contrasts}


def test_the_order_of_rows_means_nothing() -> None:
    frames = Planted().frames()
    mixed = MemoryFrames(
        samples=frames.samples.sample(frac=1, random_state=1),
        trials=frames.trials[::-1],
        checks=frames.checks,
    )
    one, two = analyse(study(), frames), analyse(study(), mixed)
    assert (one.answer, one.claims, one.contrasts, one.parity) == (
        two.answer,
        two.claims,
        two.contrasts,
        two.parity,
    )


def test_counted_bytes_need_no_interval() -> None:
    result = contrast(Planted().analysis(), "cache_bytes")
    assert (result.verdict, result.effect, result.relevant, result.reason) == (
        "worse",
        math.inf,
        True,
        "counted exactly",
    )
    loaded = study(compare={"cache": ["dynamic", "static"]}, claims={})
    same = contrast(Planted(loaded=loaded).analysis(), "cache_bytes", arm="cache=static")
    assert (same.verdict, same.effect, same.relevant) == ("identical", 1.0, False)


def test_counted_bytes_that_vary_between_rounds_are_invalid() -> None:
    frames = Planted().frames()
    row = frames.samples.index[(frames.samples["metric"] == "cache_bytes") & (frames.samples["value"] > 0)][0]
    frames.samples.loc[row, "value"] += 8
    assert {c.reason for c in analyse(study(), frames).contrasts if c.verdict == "invalid"} == {
        "an exact count differs between trials of the same arm"
    }


def test_peaks_that_repeat_exactly_are_compared_exactly_against_the_margin() -> None:
    result = Planted().analysis()
    small, large = (contrast(result, "peak_tensor_bytes", tokens=tokens) for tokens in (16, 256))
    assert small.effect == 1.0 + 48 * 1024 / 1e6
    assert (small.verdict, small.relevant, small.low, small.high) == (
        "worse",
        True,
        small.effect,
        small.effect,
    )
    assert large.value == 1_000_000 + 288 * 1024
    wide = contrast(Planted(loaded=study(margins={"memory": 0.1})).analysis(), "peak_tensor_bytes", tokens=16)
    assert (wide.verdict, wide.reason) == ("equivalent", "real but negligible")


def test_a_study_without_conditions_and_claims() -> None:
    loaded = study(across={}, claims={}, invariants=[], compare={"cache": ["none", "dynamic"]})
    result = Planted(loaded=loaded, ratio=flat(2.0), noise=1e-9).analysis()
    assert result.answer == (
        "1 of 1 contrast in decode tokens per second is better than the baseline: cache=dynamic, 2 × the "
        "baseline's (95 % interval 2 to 2 ×, 10 rounds of one model). "
        "By chance alone, at most 0.05 of these verdicts would be wrong (5 % in 1 family)."
    )
    assert result.claims == ()


def test_the_answer_of_a_study_with_claims() -> None:
    result = Planted(ratio=growing, noise=1e-9).analysis()
    assert result.answer == (
        "6 of 6 contrasts in decode tokens per second are better than the baseline, most of all "
        "cache=dynamic at new tokens 256, 2.33 × the baseline's (95 % interval 2.33 to 2.33 ×, "
        "10 rounds of one model). Claims: 4 confirmed. "
        "By chance alone, at most 0.2 of these verdicts would be wrong (5 % in each of 4 families)."
    )
    nothing = Planted(ratio=flat(1.0), noise=0.004).analysis()
    assert nothing.answer == (
        "6 of 6 contrasts in decode tokens per second are equivalent to the baseline. "
        "Claims: 2 confirmed, 2 refuted. "
        "By chance alone, at most 0.2 of these verdicts would be wrong (5 % in each of 4 families)."
    )


def test_a_claim_on_another_metric_is_a_family_there() -> None:
    claims = {"latency": {**CLAIMS["kv-speedup"], "metric": LATENCY, "ratio": 1 / 2.33}}
    loaded = study(claims=claims)
    assert named_contrasts(loaded) == [(LATENCY, "cache=dynamic", '{"new_tokens":"256"}')]
    result = Planted(loaded=loaded).analysis()
    assert claim(result, "latency").verdict == "confirmed"
    assert contrast(result, LATENCY).p_adjusted == contrast(result, LATENCY).p


def test_arms_of_several_factors_have_labels_with_the_changed_levels() -> None:
    slower = {"source": "x", "says": "It is.", "level": {"optimizer": "lion"}, "direction": "better"}
    loaded = training_study(
        compare={"clip": [1.0, 2.0], "optimizer": ["adam", "lion"]},
        claims={"it": slower},
        design={"seeds": 6},
    )
    learned = Learned(loaded=loaded)
    assert [loaded.label(arm.name) for arm in loaded.arms] == ["baseline", "clip 2.0", "optimizer lion"]
    result = learned.analysis()
    assert {contrast.arm for contrast in result.contrasts} == {
        "clip=2.0, optimizer=adam",
        "clip=1.0, optimizer=lion",
    }
    assert "optimizer lion" in result.claims[0].sentence
    assert "clip" not in result.claims[0].sentence + result.answer
