"""Claims on runs whose truth is known: what must be confirmed, refuted, left open."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.analysis.analyse import analyse
from tests.analysis.planted import CLAIMS, Planted, claim, flat, growing, study, verdicts


@pytest.mark.parametrize(
    ("ratio", "verdict", "told"),
    [
        (
            2.33,
            "confirmed",
            "inside the region 1.86 to 2.91 × of the claimed 2.33 ×; the direction (higher than the baseline) is confirmed.",
        ),
        (
            1.0,
            "refuted",
            "below the region 1.86 to 2.91 × of the claimed 2.33 ×; the direction (higher than the baseline) is refuted.",
        ),
        (
            4.0,
            "refuted",
            "above the region 1.86 to 2.91 × of the claimed 2.33 ×; the direction (higher than the baseline) is confirmed.",
        ),
        (
            0.5,
            "refuted",
            "below the region 1.86 to 2.91 × of the claimed 2.33 ×; the direction (higher than the baseline) is refuted.",
        ),
        (
            2.33 * 1.25,
            "undecided",
            "the interval crosses the border of the region 1.86 to 2.91 × of the claimed 2.33 ×; the direction (higher than the baseline) is confirmed.",
        ),
    ],
)
def test_a_claimed_ratio(ratio: float, verdict: str, told: str) -> None:
    settled = claim(Planted(ratio=flat(ratio)).analysis(), "kv-speedup")
    assert settled.verdict == verdict
    assert settled.sentence.endswith(told)
    assert settled.n == 10
    assert settled.claimed == "2.33 × (region 1.86 to 2.91 ×)"


def test_the_sentence_of_a_ratio_tells_what_was_measured() -> None:
    settled = claim(Planted(ratio=flat(2.33), noise=1e-9, units=1).analysis(), "kv-speedup")
    assert settled.sentence == (
        "At this scale, on this device, decode tokens per second of cache=dynamic at new tokens 256 is 2.33 × the baseline's "
        "(95 % interval 2.33 to 2.33 ×, 10 rounds): inside the region 1.86 to 2.91 × of the claimed 2.33 ×; "
        "the direction (higher than the baseline) is confirmed."
    )
    assert (settled.effect, settled.interval) == ("2.33 ×", "2.33 to 2.33 ×")


def test_a_claim_that_something_is_less() -> None:
    claims = {"slow": {**CLAIMS["kv-speedup"], "ratio": 0.5}}
    settled = claim(Planted(loaded=study(claims=claims), ratio=flat(0.5)).analysis(), "slow")
    assert (settled.verdict, settled.claimed) == ("confirmed", "0.5 × (region 0.4 to 0.625 ×)")
    assert settled.sentence.endswith("the direction (lower than the baseline) is confirmed.")


def by_doubling(factor: float) -> Callable[[str, int], float]:
    return lambda cache, tokens: 1.0 if cache == "none" else 2.0 * factor ** math.log2(tokens / 16)


def bent(cache: str, tokens: int) -> float:
    return 1.0 if cache == "none" else {16: 1.5, 64: 1.3, 256: 2.5}[tokens]


@pytest.mark.parametrize(
    ("ratio", "verdict", "told"),
    [
        (growing, "confirmed", "it is increasing."),
        (by_doubling(0.8), "refuted", "it is decreasing."),
        (bent, "undecided", "it is increasing overall, but not at every step."),
    ],
)
def test_a_claimed_trend(ratio: Callable[[str, int], float], verdict: str, told: str) -> None:
    settled = claim(Planted(ratio=ratio).analysis(), "kv-growth")
    assert settled.verdict == verdict
    assert settled.sentence.endswith(told)
    assert settled.n == 10


def test_a_trend_that_is_flat_is_refuted_and_one_that_is_noise_is_open() -> None:
    quiet = claim(Planted(ratio=flat(2.0), noise=0.005).analysis(), "kv-growth")
    assert quiet.verdict == "refuted"
    assert quiet.sentence.endswith("it is flat within the margin.")
    noisy = claim(Planted(ratio=flat(2.0), noise=0.3).analysis(), "kv-growth")
    assert noisy.verdict == "undecided"
    assert noisy.sentence.endswith("the interval of the slope includes zero.")


def test_a_growth_that_is_real_but_within_the_margin_is_no_growth() -> None:
    """Four doublings of 0.5 % are 2 %: nothing beside a margin of 5 %, however sure."""
    settled = claim(Planted(ratio=by_doubling(1.005), noise=0.0005, units=1).analysis(), "kv-growth")
    assert settled.verdict == "refuted"


def test_a_decreasing_trend_mirrors_an_increasing_one() -> None:
    claims = {"falls": {**CLAIMS["kv-growth"], "trend": "decreasing"}}
    falling = Planted(loaded=study(claims=claims), ratio=by_doubling(0.8))
    settled = claim(falling.analysis(), "falls")
    low, high = settled.interval.removesuffix(" ×").split(" to ")
    assert settled.verdict == "confirmed"
    assert float(low) < 0.8 < float(high)
    rising = claim(replace(falling, ratio=growing).analysis(), "falls")
    assert rising.verdict == "refuted"


def test_the_sentence_of_a_trend() -> None:
    settled = claim(Planted(ratio=by_doubling(1.2), noise=1e-9, units=1).analysis(), "kv-growth")
    assert settled.sentence == (
        "At this scale, on this device, the ratio of decode tokens per second, cache=dynamic to the baseline, "
        "is 2 × at 16, 2.88 × at 64, 4.15 × at 256 new tokens; it changes by × 1.2 per doubling "
        "(95 % interval 1.2 to 1.2 ×, 10 rounds): it is increasing."
    )
    assert (settled.effect, settled.claimed) == ("× 1.2 per doubling", "increasing")


def test_bytes_follow_their_formula_or_do_not() -> None:
    planted = Planted()
    sound = claim(planted.analysis(), "kv-memory")
    assert (sound.verdict, sound.effect, sound.interval, sound.n) == (
        "confirmed",
        "no difference",
        "counted exactly",
        60,
    )
    assert sound.sentence == (
        "Cache bytes: equal to the closed form in 60 of 60 trials, from 48 KiB to 288 KiB; cache-bytes holds in 384 further cases."
    )
    frames = planted.frames()
    row = frames.samples.index[(frames.samples["metric"] == "cache_bytes") & (frames.samples["value"] > 0)][7]
    frames.samples.loc[row, "value"] += 1
    off = claim(analyse(planted.loaded, frames), "kv-memory")
    assert off.verdict == "refuted"
    assert off.effect == "largest difference 1 B of 48 KiB"
    assert "in 59 of 60 trials" in off.sentence


def test_bytes_that_are_zero_everywhere_show_no_formula() -> None:
    planted = Planted()
    frames = planted.frames()
    frames.samples.loc[frames.samples["metric"].str.startswith("cache_bytes"), "value"] = 0.0
    settled = claim(analyse(planted.loaded, frames), "kv-memory")
    assert (settled.verdict, settled.sentence) == (
        "undecided",
        "Cache bytes and cache bytes formula are zero everywhere.",
    )


def test_an_invariant_that_holds() -> None:
    settled = claim(Planted().analysis(), "kv-same")
    assert (settled.verdict, settled.n, settled.effect, settled.interval) == (
        "confirmed",
        6,
        "max deviation 2e-12",
        "tolerance 1e-10",
    )
    assert settled.sentence == (
        "cache-parity holds in all 6 checks (384 comparisons; the closest to its limit is "
        "one query in float64: deviation 2e-12, tolerance 1e-10); outputs are identical to the baseline's in 60 of 60 trials."
    )


def test_two_exploratory_rounds_confirm_what_is_exact_and_nothing_else() -> None:
    loaded = study(design={"rounds": 2, "exploratory": True})
    found = Planted(loaded=loaded, noise=0.001).analysis()
    assert verdicts(found) == {
        "kv-same": "confirmed",
        "kv-speedup": "undecided",
        "kv-growth": "undecided",
        "kv-memory": "confirmed",
    }
    speedup = claim(found, "kv-speedup")
    assert speedup.interval == "unbounded"
    assert speedup.sentence.endswith(
        "(95 % interval unbounded, 2 rounds): exploratory, so there is no verdict."
    )
    assert claim(found, "kv-growth").interval == "unbounded"
    assert {c.verdict for c in found.contrasts if not c.metric.startswith("cache_bytes")} <= {
        "undecided",
        "identical",
    }
    assert "the study is exploratory, so effects are shown without a verdict" in found.answer
    everything = " ".join([found.answer, *(c.sentence + c.interval for c in found.claims)])
    assert " inf" not in everything
    assert "nan" not in everything


def test_many_exploratory_rounds_do_not_decide_either() -> None:
    found = Planted(loaded=study(design={"rounds": 10, "exploratory": True})).analysis()
    assert verdicts(found)["kv-speedup"] == "undecided"
    assert "confirmed" not in claim(found, "kv-speedup").sentence
