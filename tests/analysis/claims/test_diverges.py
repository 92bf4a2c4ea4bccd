"""Divergence as the outcome."""

from __future__ import annotations

from tests.analysis.claims.settled_claims import settled_training, training_claim_study


def test_divergence_as_the_outcome() -> None:
    def lost(arm: str, seed: int) -> bool:
        return arm == "optimizer=adam" and seed < 7

    result = settled_training(training_claim_study(diverges="less"), lost=lost)
    assert (result.verdict, result.n, result.effect) == ("confirmed", 8, "0 against 7 of 8 seeds")
    assert result.sentence == (
        "At this scale, on this device, optimizer=lion diverges on 0 of 8 seeds, the baseline on 7 "
        "(McNemar's exact p 0.016): less often, as claimed."
    )
    assert settled_training(training_claim_study(diverges="more"), lost=lost).verdict == "refuted"
    assert settled_training(training_claim_study(diverges="less")).verdict == "undecided"
