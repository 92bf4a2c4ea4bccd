"""An invariant that holds."""

from __future__ import annotations

from tests.analysis.planted import Planted, claim


def test_an_invariant_that_holds() -> None:
    settled_speed = claim(Planted().analysis(), "kv-same")
    assert (settled_speed.verdict, settled_speed.n, settled_speed.effect, settled_speed.interval) == (
        "confirmed",
        6,
        "max deviation 2e-12",
        "tolerance 1e-10",
    )
    assert settled_speed.sentence == (
        "cache-parity holds in all 6 checks (384 comparisons; the closest to its limit is "
        "one query in float64: deviation 2e-12, tolerance 1e-10); "
        "outputs are identical to the baseline's in 60 of 60 trials."
    )
