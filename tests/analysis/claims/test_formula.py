"""A metric against its closed form."""

from __future__ import annotations

from harness.analysis.analyse import analyse
from tests.analysis.planted import Planted, claim


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
        "Cache bytes: equal to the closed form in 60 of 60 trials, from 48 KiB to 288 KiB; "
        "cache-bytes holds in 384 further cases."
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
    settled_speed = claim(analyse(planted.loaded, frames), "kv-memory")
    assert (settled_speed.verdict, settled_speed.sentence) == (
        "undecided",
        "Cache bytes and cache bytes formula are zero everywhere.",
    )
